"""What runs inside the application's interpreter, by its path. Standard library only, from Python 3.8 on."""
