"""What the notebooks ask of a reader: checks of the exercises, questions, and a detective story."""
