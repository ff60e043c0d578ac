"""What training measures for references and inference of predictions: written once."""
