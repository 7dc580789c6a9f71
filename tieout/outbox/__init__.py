"""What is owed outside: letters to Procore, mails to people, and their texts."""
