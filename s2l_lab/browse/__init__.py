"""What the explorer app shows, without a screen: runs found, rollouts filtered and paged, comparisons, exports.

Plain functions and frozen records over stores of rollouts and training runs. Nothing here knows streamlit, loads a
model or imports torch; the app renders what these return.
"""
