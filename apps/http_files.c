/* Static files: regular ones below one directory, whatever a request or a symbolic link says. The
 * kernel resolves the path beneath the directory (openat2, Linux 5.6); where that call is missing
 * every component is opened by itself and symbolic links are refused. Left out: listings,
 * conditions, ranges. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* One component after the other, none of them a symbolic link. rel is taken apart. */
static int open_by_parts(int dir, char *rel)
{
	int at = dup(dir);
	char *save = NULL;

	for (char *part = strtok_r(rel, "/", &save); part != NULL && at >= 0;) {
		char *next = strtok_r(NULL, "/", &save);
		int flags = next != NULL ? O_PATH | O_DIRECTORY | O_CLOEXEC : OPEN_FLAGS;
		int fd = openat(at, part, flags | O_NOFOLLOW);

		close(at);
		at = fd;
		part = next;
	}
	return at;
}

/* Opens rel below dir; -1 with errno. */
static int open_beneath(int dir, const char *rel)
{
	struct open_how how = {
		.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	long fd;
	char *copy;
	int saved;

	for (int tries = 0; tries < 3; tries++) {
		fd = syscall(SYS_openat2, dir, rel, &how, sizeof how);
		if (fd >= 0 || errno != EAGAIN) {
			break;
		}
	}
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) {
		return (int)fd;
	}
	copy = strdup(rel);
	if (copy == NULL) {
		return -1;
	}
	fd = open_by_parts(dir, copy);
	saved = errno;
	free(copy);
	errno = saved;
	return (int)fd;
}

static int status_of(int errnum)
{
	switch (errnum) {
	case EACCES:
	case EPERM: return 403;
	case EMFILE:
	case ENFILE:
	case ENOMEM: return 503;
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
	int file = open_beneath(*fd, "index.html");

	close(*fd);
	*fd = file;
	return file >= 0 && fstat(file, st) == 0;
}

void http_file(struct http_server *h, const char *path, struct http_reply *r)
{
	const char *rel = path + strspn(path, "/");
	size_t n = strlen(path);
	bool slash = n > 0 && path[n - 1] == '/';
	int fd = open_beneath(h->www_fd, *rel == '\0' ? "." : rel);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		http_reply_status(r, status_of(errno));
	} else if (S_ISDIR(st.st_mode) && !slash) {
		redirect(path, r);
	} else if (S_ISDIR(st.st_mode) && !index_of(&fd, &st)) {
		http_reply_status(r, status_of(errno));
	} else if (!S_ISREG(st.st_mode)) {
		http_reply_status(r, 404);
	} else {
		*r = (struct http_reply){.status = 200, .body = HTTP_BODY_FILE, .fd = fd};
		r->type = slash ? "text/html; charset=utf-8" : type_of(path);
		r->length_bytes = (uint64_t)st.st_size;
		r->modified = st.st_mtime;
		return;
	}
	if (fd >= 0) {
		close(fd);
	}
}
