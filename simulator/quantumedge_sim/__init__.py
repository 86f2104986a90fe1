"""QuantumEdge, the reference bot: it trades a simulated venue and speaks to the fleet through the public SDK only."""
