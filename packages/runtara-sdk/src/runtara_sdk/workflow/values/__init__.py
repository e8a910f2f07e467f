"""Values as text and back: arguments, results, failures and the functions that give them."""
