"""What a person looks at: pages about data, labels and predictions."""
