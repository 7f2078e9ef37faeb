"""What a deployment in containers needs before its services start; the services are in docker-compose.yaml."""
