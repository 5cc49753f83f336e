/* A disk that takes its time: every fsync and fdatasync waits SLOW_DISK_MS milliseconds first. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int slowly(const char *name, int file) {
    const char *wait = getenv("SLOW_DISK_MS");
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    usleep(1000 * (wait ? atoi(wait) : 0));
    return real(file);
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
