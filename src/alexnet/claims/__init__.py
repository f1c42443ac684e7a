"""What the lecture says of AlexNet, each claim an experiment that anyone can run on their own data."""
