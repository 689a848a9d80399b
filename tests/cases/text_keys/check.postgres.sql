SELECT octet_length(w), w, n FROM {space}.word ORDER BY n
