"""A web site's pages, read politely and within bounds: see `brain.crawl.crawler`."""
