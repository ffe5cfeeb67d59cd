"""What exists, why and how long: release, erasure, requests and their proof."""
