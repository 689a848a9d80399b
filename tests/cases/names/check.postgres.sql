SELECT * FROM {space}."Order ""x""" ORDER BY 1
