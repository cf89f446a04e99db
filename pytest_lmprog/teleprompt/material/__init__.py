"""Material: what strategies make programs of: demos, instructions, teachers, and what metrics say."""
