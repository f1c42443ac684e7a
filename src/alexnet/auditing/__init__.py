"""What is wrong with a collection of pictures: duplicates, wrong labels, and pictures that show nothing."""
