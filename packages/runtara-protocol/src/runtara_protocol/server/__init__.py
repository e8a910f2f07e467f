"""What every server of a Runtara protocol needs: streams to requests, requests to handlers."""
