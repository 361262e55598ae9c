"""What tests share: a running gateway, sources that stand for agencies, SQL dumps as databases."""
