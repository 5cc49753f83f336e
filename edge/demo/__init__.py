"""The demo: a broker, a publisher and a report around the real agent."""
