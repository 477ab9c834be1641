"""What starts runs of agents without a person asking: alerts, webhooks, clocks."""
