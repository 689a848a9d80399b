SELECT id, code, guest FROM {space}.seat ORDER BY id
