/* PUT and DELETE of files below the directory (RFC 9110 9.3.4, 9.3.5). An upload is written to a
 * file of another name beside its place and renamed when it is complete, so that nobody ever sees
 * half of it, and a failed one leaves nothing. Preconditions are evaluated before the body is read,
 * and once more when it is put in its place. Left out: making directories; waiting for the disk (a
 * crash of the machine may take what was answered with 201). */
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

struct http_upload {
	int dir_fd, fd;
	bool committed;
	bool only_new;              /* [9110 13.1.2] If-None-Match: there must be none */
	bool only_same;             /* a precondition was about what is there now: */
	char etag[HTTP_ETAG_BYTES]; /* its tag, "": nothing */
	char name[256], temp[64];
	char *target;
};

static int status_of(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
	case EISDIR:
	case ENOTEMPTY: return 409;
	case ENOSPC:
	case EDQUOT:
	case EFBIG: return 507;
	case EMFILE:
	case ENFILE:
	case ENOMEM: return 503;
	case ENAMETOOLONG: return 414;
	case EIO: return 500;
	default: return 403; /* EXDEV, ELOOP: it would lead outside */
	}
}

/* The directory that holds path, and the name in it. 0 or a status. */
static int place_of(struct http_server *h, const char *path, int *dir_fd, char name[256])
{
	const char *slash = strrchr(path, '/'), *rel = path + strspn(path, "/");
	size_t n = strlen(slash + 1);
	char *dir;

	if (n == 0 || strcmp(slash + 1, ".") == 0) {
		return 409;
	}
	if (n > 255) {
		return 414;
	}
	if (http_path_hidden(path)) {
		return 403;
	}
	memcpy(name, slash + 1, n + 1);
	dir = slash >= rel ? strndup(rel, (size_t)(slash - rel)) : strdup(".");
	if (dir == NULL) {
		return 503;
	}
	*dir_fd = http_beneath_open(
		h->www_fd, dir[0] != '\0' ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC, false);
	free(dir);
	return *dir_fd < 0 ? status_of(errno) : 0;
}

/* What is there under the name. 0, or 409: something that is no plain file. */
static int look(int dir_fd, const char *name, struct http_current *c, char etag[HTTP_ETAG_BYTES])
{
	struct stat st;

	*c = (struct http_current){.modified_s = HTTP_NO_DATE};
	etag[0] = '\0';
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		return errno == ENOENT ? 0 : status_of(errno);
	}
	if (!S_ISREG(st.st_mode)) {
		return 409;
	}
	http_etag(&st, etag);
	*c = (struct http_current){true, etag, st.st_mtime};
	return 0;
}

static int temp_open(struct http_server *h, struct http_upload *u)
{
	for (int i = 0; i < 100; i++) {
		snprintf(u->temp, sizeof u->temp, HTTP_TEMP_PREFIX "%d-%llu", (int)getpid(),
			(unsigned long long)++h->upload_serial);
		u->fd = openat(u->dir_fd, u->temp,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
		if (u->fd >= 0) {
			return 0;
		}
		if (errno != EEXIST) {
			break;
		}
	}
	return status_of(errno);
}

static int begin(struct http_server *h, const char *path, const struct http_request *q,
	const char *head, struct http_upload *u)
{
	struct http_current there;
	int rc = place_of(h, path, &u->dir_fd, u->name);

	if (rc == 0) {
		rc = look(u->dir_fd, u->name, &there, u->etag);
	}
	if (rc == 0) {
		rc = http_cond(q, head, &there, http_now_s(h));
	}
	if (rc != 0) {
		return rc;
	}
	u->only_new = http_has(q, HTTP_F_IF_NONE_MATCH) && !there.exists;
	u->only_same = http_has(q, HTTP_F_IF_MATCH) || http_has(q, HTTP_F_IF_UNMODIFIED_SINCE);
	u->target = strndup(head + q->target_start_bytes, q->target_bytes);
	return u->target == NULL ? 503 : temp_open(h, u);
}

int http_put_begin(struct http_server *h, const char *path, const struct http_request *q,
	const char *head, struct http_upload **out)
{
	struct http_upload *u;
	int rc;

	*out = NULL;
	if (http_has(q, HTTP_F_CONTENT_RANGE)) { /* [9110 14.5] not a part */
		return 400;
	}
	u = h->uploads < HTTP_UPLOADS_MAX ? calloc(1, sizeof *u) : NULL;
	if (u == NULL) {
		return 503;
	}
	h->uploads++;
	u->dir_fd = u->fd = -1;
	rc = begin(h, path, q, head, u);
	if (rc != 0) {
		http_put_end(h, u);
		return rc;
	}
	*out = u;
	return 0;
}

int http_put_write(struct http_upload *u, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t k = write(u->fd, data, n);

		if (k < 0 && errno != EINTR) {
			return status_of(errno);
		}
		if (k > 0) {
			data += k;
			n -= (size_t)k;
		}
	}
	return 0;
}

int http_put_commit(struct http_upload *u, char etag[HTTP_ETAG_BYTES])
{
	char before[HTTP_ETAG_BYTES];
	struct http_current there;
	struct stat st;
	int rc = look(u->dir_fd, u->name, &there, before);

	etag[0] = '\0';
	if (rc != 0) {
		return rc;
	}
	if (u->only_same && strcmp(before, u->etag) != 0) {
		return 412;
	}
	rc = renameat2(u->dir_fd, u->temp, u->dir_fd, u->name, u->only_new ? RENAME_NOREPLACE : 0);
	if (rc != 0) {
		return errno == EEXIST ? 412 : status_of(errno);
	}
	u->committed = true;
	if (fstat(u->fd, &st) == 0) {
		http_etag(&st, etag);
	}
	return there.exists ? 204 : 201;
}

void http_put_end(struct http_server *h, struct http_upload *u)
{
	if (u == NULL) {
		return;
	}
	if (u->fd >= 0) {
		close(u->fd);
		if (!u->committed) {
			unlinkat(u->dir_fd, u->temp, 0);
		}
	}
	if (u->dir_fd >= 0) {
		close(u->dir_fd);
	}
	free(u->target);
	free(u);
	h->uploads--;
}

const char *http_put_target(const struct http_upload *u)
{
	return u->target;
}

int http_delete(
	struct http_server *h, const char *path, const struct http_request *q, const char *head)
{
	char name[256], etag[HTTP_ETAG_BYTES];
	struct http_current there;
	int dir = -1, rc = place_of(h, path, &dir, name);

	if (rc == 409 && path[strlen(path) - 1] != '/') {
		rc = 404; /* not even its directory is there */
	}
	if (rc == 0) {
		rc = look(dir, name, &there, etag);
	}
	if (rc == 0) {
		rc = there.exists ? http_cond(q, head, &there, http_now_s(h)) : 404;
	}
	if (rc == 0 && unlinkat(dir, name, 0) != 0) {
		rc = errno == ENOENT ? 404 : status_of(errno);
	}
	if (dir >= 0) {
		close(dir);
	}
	return rc != 0 ? rc : 204;
}
