"""The log on RabbitMQ: streams keep the events, exchanges and queues hand them to programs that listen."""
