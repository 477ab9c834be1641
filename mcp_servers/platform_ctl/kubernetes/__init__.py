"""A Kubernetes cluster by its API over HTTP: deployments and stateful sets, their pods, logs and events, and nodes."""
