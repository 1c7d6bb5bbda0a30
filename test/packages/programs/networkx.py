"""Graphs: shortest paths, PageRank, spanning tree, flow, communities, GraphML."""

import networkx as nx

roads = nx.Graph()
roads.add_weighted_edges_from(
    [("a", "b", 4), ("a", "c", 2), ("c", "b", 1), ("b", "d", 5), ("c", "d", 8), ("d", "e", 3)]
)
assert nx.shortest_path(roads, "a", "e", weight="weight") == ["a", "c", "b", "d", "e"]
assert nx.shortest_path_length(roads, "a", "e", weight="weight") == 11
assert nx.shortest_path_length(roads, "a", "e") == 3
assert nx.minimum_spanning_tree(roads).size(weight="weight") == 11
assert nx.is_connected(roads)
assert nx.diameter(roads) == 3

web = nx.DiGraph([("a", "c"), ("b", "c"), ("c", "d"), ("d", "c"), ("d", "a")])
rank = nx.pagerank(web, alpha=0.85)
assert abs(sum(rank.values()) - 1) < 1e-9
assert sorted(rank, key=rank.get, reverse=True) == ["c", "d", "a", "b"]
assert abs(rank["b"] - 0.15 / 4) < 1e-6

steps = nx.DiGraph([("shirt", "tie"), ("tie", "coat"), ("trousers", "shoes"), ("trousers", "coat")])
order = list(nx.topological_sort(steps))
assert order.index("shirt") < order.index("tie") < order.index("coat")
assert nx.is_directed_acyclic_graph(steps)

pipes = nx.DiGraph()
pipes.add_edge("s", "a", capacity=3)
pipes.add_edge("s", "b", capacity=2)
pipes.add_edge("a", "t", capacity=2)
pipes.add_edge("b", "t", capacity=3)
pipes.add_edge("a", "b", capacity=1)
assert nx.maximum_flow_value(pipes, "s", "t") == 5

club = nx.karate_club_graph()
assert (len(club), club.number_of_edges()) == (34, 78)
groups = nx.community.louvain_communities(club, seed=1)
assert 2 <= len(groups) <= 6
assert max(nx.betweenness_centrality(club).items(), key=lambda item: item[1])[0] == 0
matrix = nx.to_numpy_array(club, weight=None)
assert matrix.sum() == 156

nx.write_graphml(roads, "roads.graphml")
assert nx.read_graphml("roads.graphml")["c"]["d"]["weight"] == 8

print("ok: networkx")
