/*
 * Walks along paths, for who makes, removes or opens what is at their end. Implemented in path.c.
 */
#ifndef FS_WALK_H
#define FS_WALK_H

#include "fs_internal.h"

/* Locks: (a) atomic; (n) names_lock. */
struct fs_context {
	_Atomic uint32_t refs;  /* (a) */
	_Atomic uint32_t umask; /* (a) */
	struct name *root;      /* (n) a reference */
	struct name *directory; /* (n) a reference: the current one */
};

/* With whose rights something is done. */
struct rights {
	const struct credentials *credentials; /* NULL: the kernel's */
	uint32_t uid, gid;
	/* What capabilities(7) allow: to access any file, to search and read any, to do what a file's owner may, to keep set-group-ID. */
	bool overrides, searches, owns, sets_id;
};
struct rights rights_of(struct task *task); /* NULL: the kernel's */
bool rights_in_group(const struct rights *rights, uint32_t gid);
/* Is the file the user's, or may he act as if it were? */
bool rights_own(const struct rights *rights, const struct inode *inode);
int rights_check(const struct rights *rights, struct inode *inode, unsigned access);

struct walk {
	struct task *task;
	struct rights rights;
	struct name *at;   /* a reference: the directory that it has come to */
	const char *rest;  /* of the path */
	const char *last;  /* the component that was taken off last */
	size_t length;     /* of it; 0: the path has none */
	bool slash;        /* a slash follows it: it has to be a directory */
	bool missing;      /* walk_to_child: the last component is not there, all before it are */
	unsigned links;    /* that were followed */
	struct page *page; /* what `rest` is in, once a link was followed */
	struct path found; /* walk_to_child's result, with references */
};

/*
 * Begins a walk; walk_end() in any case. -ENOENT for an empty path, -EBADF, -ENOTDIR. The path's memory stays the caller's until the end. (n), as with those that follow.
 */
int walk_begin(struct walk *walk, struct task *task, int directory, const char *path);
void walk_end(struct walk *walk);

/* To the directory of the last component, which may be searched; walk->last is that component. */
int walk_to_parent(struct walk *walk);

/* From there to what the component leads to: walk->found. `flags`: LOOKUP_... */
int walk_to_child(struct walk *walk, unsigned flags);

/* ---- Making and removing (names_make.c) ------------------------------------------------------------------- */

/* Walks to where a name is to be made: -EEXIST if there is such a name. */
int names_begin_making(struct walk *walk, struct task *task, int directory, const char *path);
/* Makes it there: a new inode (mode: with the umask), and the name with a reference if `out` is not NULL. */
int names_make(struct walk *walk, uint32_t mode, uint32_t rdev, const char *target, struct name **out);
/* The new inode only, for `directory`. */
int names_make_inode(struct walk *walk, struct inode *directory, uint32_t mode, uint32_t rdev,
		     const char *target, struct inode **out);

/* May names in the directory be made and removed; may this one be removed? -EPERM, -EACCES, -EBUSY, -EROFS. */
int names_check_directory(const struct rights *rights, struct inode *directory);
int names_check_removing(const struct rights *rights, const struct name *directory, const struct name *name);
/* Takes a name out, with what that means for inode and directory. */
void names_removed(struct name *name);
/* A directory's names have changed, and so many of its subdirectories have come. */
void names_directory_changed(struct inode *directory, int subdirectories);

/*
 * Writes the path of a name, as seen from `root`, to the end of a buffer: *out is where it begins. 1: it does not lie under the root (then it is the path
 * from where it ends); -ENAMETOOLONG. (n).
 */
int name_path(struct name *name, struct name *root, char *to, size_t bytes, char **out);

#endif
