"""The explorer app: views draw a page each, of parts that they share. Streamlit is imported here alone, and nothing but
the app imports it; numbers come from the packages on its left."""
