"""What a person looks at: pages about data and labels."""
