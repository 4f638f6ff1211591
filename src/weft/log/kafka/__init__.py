"""The log on Apache Kafka: one event a message, readable for whoever else reads the topics."""
