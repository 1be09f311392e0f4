"""A page of the app each. Streamlit runs the file as a script, which draws; an import draws nothing."""
