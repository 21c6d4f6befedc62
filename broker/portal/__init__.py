"""The pages of people who sign in: sign-in, their roles and credentials, what is theirs."""
