"""Metrics of all processes of a server or worker, which prometheus_client keeps in files that each of them maps into memory.

folders.py   make the folder before anything imports prometheus_client, and delete those of processes that were killed
files.py     files that a full disk or a missing folder cannot make dangerous
reading.py   add them up, and sweep those of processes that ended
"""
