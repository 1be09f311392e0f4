"""Pieces of screen that views share. Streamlit is imported here and in views alone; numbers come from s2l_lab."""
