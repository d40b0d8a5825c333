"""A page that shows a run while it goes on, in a browser on the same machine: `./run.sh live`, `run.live()`.

- watched_run.py: what lies on the disk of a run
- machine_load.py: processors, memory, graphics cards
- remaining.py: how long it may yet take
- page.py, live.css, live.js: the page
- server.py: serves it on 127.0.0.1
"""

from foldline.output.live.server import Live, start
from foldline.output.live.watched_run import names, newest

__all__ = ["Live", "names", "newest", "start"]
