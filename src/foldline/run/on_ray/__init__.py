"""Cells on a Ray cluster: `executor.kind = "ray"`. Ray is imported only where that is asked for.

session.py joins a cluster or starts one on this machine, nodes.py checks its nodes, cluster_run.py gives out cells and
listens, worker.py is what runs on a node, parcels.py brings files to nodes that share no folder, and back; overview.py
is what the verb `cluster` shows.
"""
