/* The listing of a directory that has no index.html: names in order, escaped, as many as the limit
 * allows. Names that begin with a dot are left out. */
#define _GNU_SOURCE 1
#include "http_beneath.h"
#include "http_conn.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
	char *name;
	bool directory;
	uint64_t bytes;
};

struct listing {
	struct entry *entry;
	size_t n, cap;
	bool more; /* than the limit */
};

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Where the listing is made. */
struct place {
	int www, fd;      /* the served directory, and the listed one */
	const char *path; /* of the latter, with a slash at its end */
};

/* Looks at what a symbolic link leads to, if that is below the served directory. */
static bool follow(const struct place *p, const char *name, struct stat *st)
{
	char *rel;
	int fd;
	bool good;

	if (asprintf(&rel, "%s%s", p->path + strspn(p->path, "/"), name) < 0) {
		return false;
	}
	fd = http_beneath_open(p->www, rel, O_PATH | O_CLOEXEC, false);
	free(rel);
	good = fd >= 0 && fstat(fd, st) == 0;
	if (fd >= 0) {
		close(fd);
	}
	return good;
}

/* What is neither a file nor a directory, nor a link to one, cannot be had and is not shown. */
static bool entry_of(const struct place *p, const char *name, struct entry *e)
{
	struct stat st;

	if (fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0 ||
		(S_ISLNK(st.st_mode) && !follow(p, name, &st)) ||
		(!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		return false;
	}
	e->directory = S_ISDIR(st.st_mode);
	e->bytes = (uint64_t)st.st_size;
	e->name = strdup(name);
	return e->name != NULL;
}

static bool add(struct listing *l, const struct place *p, const char *name)
{
	struct entry e;

	if (name[0] == '.' || !entry_of(p, name, &e)) {
		return true;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap > 0 ? l->cap * 2 : 64;
		struct entry *all = realloc(l->entry, cap * sizeof *all);

		if (all == NULL) {
			free(e.name);
			return false;
		}
		l->entry = all;
		l->cap = cap;
	}
	l->entry[l->n++] = e;
	return true;
}

/* False: it cannot be read. */
static bool read_all(const struct place *p, struct listing *l)
{
	int own = openat(p->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own >= 0 ? fdopendir(own) : NULL;
	struct dirent *e;

	if (d == NULL) {
		if (own >= 0) {
			close(own);
		}
		return false;
	}
	while ((e = readdir(d)) != NULL && !l->more) {
		l->more = l->n >= HTTP_LIST_MAX || !add(l, p, e->d_name);
	}
	closedir(d);
	if (l->n > 0) {
		qsort(l->entry, l->n, sizeof *l->entry, by_name);
	}
	return true;
}

/* ---- The page -------------------------------------------------------------------------------- */

static void put_html(FILE *f, const char *s)
{
	for (; *s != '\0'; s++) {
		switch (*s) {
		case '<': fputs("&lt;", f); break;
		case '>': fputs("&gt;", f); break;
		case '&': fputs("&amp;", f); break;
		case '"': fputs("&quot;", f); break;
		case '\'': fputs("&#39;", f); break;
		default:
			if ((unsigned char)*s < 0x20 || *s == 0x7f) {
				fputs("\xef\xbf\xbd", f); /* U+FFFD */
			} else {
				fputc(*s, f);
			}
		}
	}
}

static void put_url(FILE *f, const char *s)
{
	for (; *s != '\0'; s++) {
		unsigned char ch = (unsigned char)*s;
		bool plain = (ch >= '0' && ch <= '9') ||
			     ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z' && ch < 0x80) ||
			     strchr("-._~", ch) != NULL;

		if (plain) {
			fputc(ch, f);
		} else {
			fprintf(f, "%%%02X", (unsigned)ch);
		}
	}
}

static void put_entry(FILE *f, const struct entry *e)
{
	const char *slash = e->directory ? "/" : "";
	char size[16];

	fputs("<tr><td><a href=\"./", f); /* "./": a colon in the name is no scheme */
	put_url(f, e->name);
	fprintf(f, "%s\">", slash);
	put_html(f, e->name);
	fprintf(f, "%s</a></td><td>%s</td></tr>\n", slash,
		e->directory ? "" : format_bytes(e->bytes, size));
}

static bool page(const struct listing *l, const char *path, char **text, size_t *n)
{
	FILE *f = open_memstream(text, n);
	bool bad;

	if (f == NULL) {
		return false;
	}
	fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", f);
	put_html(f, path);
	fputs("</title></head><body>\n<h1>", f);
	put_html(f, path);
	fputs("</h1>\n<table>\n", f);
	if (strcmp(path, "/") != 0) {
		fputs("<tr><td><a href=\"../\">../</a></td><td></td></tr>\n", f);
	}
	for (size_t i = 0; i < l->n; i++) {
		put_entry(f, &l->entry[i]);
	}
	fprintf(f, "</table>\n%s</body></html>\n", l->more ? "<p>There is more.</p>\n" : "");
	bad = ferror(f) != 0;
	if (fclose(f) != 0 || bad) {
		free(*text);
		return false;
	}
	return true;
}

void http_list_reply(struct http_server *h, int fd, const char *path, struct http_reply *r)
{
	struct place place = {h->www_fd, fd, path};
	struct listing l = {0};
	char *text = NULL;
	size_t n = 0;

	if (!read_all(&place, &l)) {
		http_reply_status(r, 403);
	} else if (!page(&l, path, &text, &n)) {
		http_reply_status(r, 503);
	} else {
		http_reply_memory(r, "text/html; charset=utf-8", text, n);
		r->owned = text;
	}
	for (size_t i = 0; i < l.n; i++) {
		free(l.entry[i].name);
	}
	free(l.entry);
}
