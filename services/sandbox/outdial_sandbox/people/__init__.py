"""Who answers, and what they sound like."""
