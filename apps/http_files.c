/* Static files: regular ones below one directory, whatever a request or a symbolic link says, with
 * validators (RFC 9110 8.8.2, 8.8.3); index.html of a directory, or a listing of it. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_beneath.h"

#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static const struct {
	const char *suffix, *type;
} types[] = {
	{".html", "text/html; charset=utf-8"},
	{".htm", "text/html; charset=utf-8"},
	{".css", "text/css; charset=utf-8"},
	{".js", "text/javascript; charset=utf-8"},
	{".mjs", "text/javascript; charset=utf-8"},
	{".json", "application/json"},
	{".txt", "text/plain; charset=utf-8"},
	{".md", "text/markdown; charset=utf-8"},
	{".csv", "text/csv; charset=utf-8"},
	{".xml", "application/xml"},
	{".svg", "image/svg+xml"},
	{".png", "image/png"},
	{".jpg", "image/jpeg"},
	{".jpeg", "image/jpeg"},
	{".gif", "image/gif"},
	{".webp", "image/webp"},
	{".ico", "image/x-icon"},
	{".pdf", "application/pdf"},
	{".wasm", "application/wasm"},
	{".woff2", "font/woff2"},
	{".mp3", "audio/mpeg"},
	{".mp4", "video/mp4"},
	{".webm", "video/webm"},
	{".gz", "application/gzip"},
	{".zip", "application/zip"},
};

static const char *type_of(const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		size_t m = strlen(types[i].suffix);

		if (n > m && strcasecmp(path + n - m, types[i].suffix) == 0) {
			return types[i].type;
		}
	}
	return "application/octet-stream";
}

int http_files_open(const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool http_path_hidden(const char *path)
{
	return strstr(path, "/" HTTP_TEMP_PREFIX) != NULL;
}

/* [9110 8.8.3] strong: another file, another length or another time of change is another tag. What
 * is stored by PUT is always another file. */
void http_etag(const struct stat *st, char etag[HTTP_ETAG_BYTES])
{
	const struct timespec *m = &st->st_mtim, *c = &st->st_ctim;

	snprintf(etag, HTTP_ETAG_BYTES, "\"%llx-%llx-%llx-%llx\"", (unsigned long long)st->st_ino,
		(unsigned long long)st->st_size,
		(unsigned long long)m->tv_sec * NS_PER_S + (unsigned long long)m->tv_nsec,
		(unsigned long long)c->tv_sec * NS_PER_S + (unsigned long long)c->tv_nsec);
}

int http_file_status(int errnum)
{
	switch (errnum) {
	case EACCES:
	case EPERM: return 403;
	case EMFILE:
	case ENFILE:
	case ENOMEM: return 503;
	case ENAMETOOLONG: return 414;
	default:
		return 404; /* what is not there, and what leads outside: no difference to a client
			     */
	}
}

/* [9110 15.4.2] a directory without its slash; the path is encoded again, byte by byte */
static void redirect(const char *path, struct http_reply *r)
{
	char *to = malloc(strlen(path) * 3 + 2), *o = to;

	http_reply_status(r, to != NULL ? 301 : 503);
	if (to == NULL) {
		return;
	}
	while (path[0] == '/' && path[1] == '/') {
		path++; /* "//name" would be another host */
	}
	for (; *path != '\0'; path++) {
		unsigned char ch = (unsigned char)*path;
		bool plain = (ch >= '0' && ch <= '9') ||
			     ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z') ||
			     strchr("/-._~", ch) != NULL;

		if (plain) {
			*o++ = (char)ch;
		} else {
			*o++ = '%';
			*o++ = "0123456789ABCDEF"[ch >> 4];
			*o++ = "0123456789ABCDEF"[ch & 15];
		}
	}
	*o++ = '/';
	*o = '\0';
	r->location = to;
}

/* The index of a directory: fd is changed to it; false: there is none. */
static bool index_of(int *fd, struct stat *st)
{
	int file = http_beneath_open(*fd, "index.html", OPEN_FLAGS, false);

	if (file < 0 || fstat(file, st) != 0 || !S_ISREG(st->st_mode)) {
		if (file >= 0) {
			close(file);
		}
		return false;
	}
	close(*fd);
	*fd = file;
	return true;
}

static void regular(struct http_server *h, int fd, const struct stat *st, const char *type,
	struct http_reply *r)
{
	int64_t now = http_now_s(h);

	*r = (struct http_reply){.status = 200, .body = HTTP_BODY_FILE, .fd = fd, .type = type};
	r->length_bytes = (uint64_t)st->st_size;
	r->ranges = true;
	r->modified = st->st_mtime < now ? st->st_mtime : now; /* [9110 8.8.2.1] */
	http_etag(st, r->etag);
}

void http_file(struct http_server *h, const char *path, struct http_reply *r)
{
	const char *rel = path + strspn(path, "/");
	size_t n = strlen(path);
	bool slash = n > 0 && path[n - 1] == '/';
	struct stat st;
	int fd = -1;

	errno = ENOENT;
	if (!http_path_hidden(path)) {
		fd = http_beneath_open(h->www_fd, *rel == '\0' ? "." : rel, OPEN_FLAGS, false);
	}
	if (fd < 0 || fstat(fd, &st) != 0) {
		http_reply_status(r, http_file_status(errno));
	} else if (S_ISDIR(st.st_mode) && !slash) {
		redirect(path, r);
	} else if (S_ISDIR(st.st_mode) && !index_of(&fd, &st)) {
		http_list_reply(h, fd, path, r);
	} else if (!S_ISREG(st.st_mode)) {
		http_reply_status(r, 404);
	} else {
		regular(h, fd, &st, slash ? "text/html; charset=utf-8" : type_of(path), r);
		return;
	}
	if (fd >= 0) {
		close(fd);
	}
}
