/*
 * The system call mremap: grows, shrinks and moves mappings. What else programs ask of memory is in
 * sys_mmap.c.
 */
#include <asm/errno.h>
#include <kern/fs.h>
#include <linux/mman.h>
#include <vm/layout.h>

#include "memory.h"

#define KNOWN_FLAGS (MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)

/* A mapping that is to be of another size, or at another place. */
struct remap {
	struct map *root;
	struct resize_request want;
	vaddr_t at; /* where it has come to be */
};

/*
 * A blob with the pages of the old mapping, and room for it to grow: a clone of all that the blob has from there on, which then forgets what is another
 * piece's. So no page is copied, or brought back from where it was paged out to; and what shows a file goes on showing it.
 */
static int clone_rest(const struct lookup *old, pgoff_t pages, struct blob **out)
{
	pgoff_t rest = bytes_to_pages(blob_size(old->blob)) - old->offset;
	int error = blob_clone(old->blob, old->offset, rest, out);

	if (error || rest == pages)
		return error;
	error = blob_decommit(*out, pages, rest - pages);
	if (error)
		blob_unref(*out);
	return error;
}

/* The same where the blob ends too soon, as that of a stack does: the pages are copied. */
static int copy_to_new(const struct lookup *old, pgoff_t pages, struct blob **out)
{
	int error = blob_create(BLOB_MAX_BYTES, 0, out);

	if (!error)
		error = blob_copy(*out, 0, old->blob, pages_to_bytes(old->offset), pages_to_bytes(pages));
	if (error == 0)
		return 0;
	if (*out)
		blob_unref(*out);
	return error;
}

/* A blob for the mapping when it has grown; -ENOMEM, also if it is one that cannot, -EIO. */
static int grown_blob(const struct remap *remap, const struct lookup *old, struct blob **out)
{
	pgoff_t pages = bytes_to_pages(remap->want.old_bytes), grown = bytes_to_pages(remap->want.new_bytes);
	pgoff_t rest = bytes_to_pages(blob_size(old->blob)) - old->offset;

	*out = NULL;
	if (old->how.inherit != INHERIT_COPY || (old->how.label && !blob_is_overlay(old->blob)) ||
	    old->end - remap->want.start < remap->want.old_bytes)
		return -ENOMEM;
	if (rest >= grown)
		return clone_rest(old, pages, out);
	return old->how.label ? -ENOMEM : copy_to_new(old, pages, out);
}

/* Puts the mapping, grown, into `target`. */
static int map_grown(struct remap *remap, struct map *target, const struct lookup *old)
{
	const struct resize_request *want = &remap->want;
	struct blob *blob;
	int error = grown_blob(remap, old, &blob);

	if (error)
		return error;
	error = map_blob(target, &want->place, blob, 0, bytes_to_pages(want->new_bytes), &old->how,
			 &remap->at);
	blob_unref(blob);
	if (!error && old->fork)
		error = map_set_fork(remap->root, remap->at, want->new_bytes, old->fork, 0);
	/* That it cannot be locked does not make the call fail, as with MAP_LOCKED. */
	if (!error && old->wired)
		map_wire(remap->root, remap->at, want->new_bytes);
	return error;
}

/*
 * Where the program has cut a mapping up, what follows a piece in the blob is another piece's: it
 * cannot grow by showing more. A private one, which nobody else can see, gets a blob of its own then.
 * -ENOMEM for others.
 */
static int grow_apart(struct remap *remap, struct map *target)
{
	const struct resize_request *want = &remap->want;
	struct lookup old;
	int error = map_lookup(remap->root, want->start, &old);

	if (error)
		return error;
	error = map_grown(remap, target, &old);
	lookup_release(&old);
	if (error)
		return error;
	error = map_unmap(remap->root, want->start, want->old_bytes);
	if (error)
		map_unmap(remap->root, remap->at, want->new_bytes);
	return error;
}

/* As arena_attempt. */
static int remap_in_arena(struct map *arena, const struct placement *place, void *context)
{
	struct remap *remap = context;
	int error;

	remap->want.place = *place;
	error = map_resize(remap->root, arena, &remap->want, &remap->at);
	if (error == -ENOMEM && remap->want.may_move && remap->want.new_bytes > remap->want.old_bytes)
		error = grow_apart(remap, arena);
	return error;
}

/* MREMAP_FIXED: may the mapping go there? */
static int check_target(const struct resize_request *want, vaddr_t address)
{
	if (!page_aligned(address) || !user_range(address, want->new_bytes))
		return -EINVAL;
	return address < want->start + want->old_bytes && want->start < address + want->new_bytes ? -EINVAL
												  : 0;
}

/* What is at the new place is replaced. */
static int remap_fixed(struct remap *remap, vaddr_t address)
{
	const struct resize_request *want = &remap->want;

	remap->want.place = (struct placement){.address = address, .flags = PLACE_FIXED | PLACE_REPLACE};
	return map_resize(remap->root, remap->root, want, &remap->at);
}

static int remap_anywhere(struct user_space *space, struct remap *remap)
{
	uint64_t bytes = remap->want.new_bytes;

	if (!remap->want.may_move)
		return map_resize(space->root, space->root, &remap->want, &remap->at);
	return arenas_try(space, bytes, bytes > space->mmap_high - space->mmap_low, remap_in_arena, remap);
}

/* As arena_attempt: another mapping of the blob that `remap->want` starts in. */
static int map_again(struct map *arena, const struct placement *place, void *context)
{
	struct remap *remap = context;
	struct lookup old;
	int error = map_lookup(remap->root, remap->want.start, &old);

	if (error)
		return error;
	error = -EINVAL;
	if (old.how.inherit == INHERIT_SHARE || remap->want.leave_zeroes)
		error = map_blob(arena, place, old.blob, old.offset, bytes_to_pages(remap->want.new_bytes),
				 &old.how, &remap->at);
	lookup_release(&old);
	return error;
}

/* An old size of 0: the mapping stays, and gets a second one of the same pages. For shared mappings only. */
static int64_t duplicate(struct user_space *space, struct remap *remap)
{
	uint64_t bytes = remap->want.new_bytes;
	int error;

	if (!remap->want.may_move)
		return -EINVAL;
	error = arenas_try(space, bytes, bytes > space->mmap_high - space->mmap_low, map_again, remap);
	return error ? error : (int64_t)remap->at;
}

/*
 * May the mapping become what is asked for? Its growth counts against the limits; -EFAULT where it is not all one mapping. 0, and
 * the flags of what is there in *shared.
 */
static int check_growth(struct task *task, const struct remap *remap, struct commitment *commitment)
{
	const struct resize_request *want = &remap->want;
	uint64_t grown = want->new_bytes > want->old_bytes ? want->new_bytes - want->old_bytes : 0;
	pgoff_t more = bytes_to_pages(grown),
		added = want->leave_zeroes ? bytes_to_pages(want->new_bytes) : more;
	struct lookup old;
	bool data;
	int error = map_lookup(remap->root, want->start, &old);

	if (error)
		return error;
	data = old.how.inherit == INHERIT_COPY && (old.how.prot & VM_WRITE);
	if (want->old_bytes > old.end - want->start)
		error = -EFAULT;
	if (!error && more > 0 && old.wired)
		error = check_locked(task, more, -EAGAIN);
	if (!error && added > 0)
		error = check_space(task->process, added, data ? added : 0);
	if (!error && data)
		error = commit_begin(commitment, added);
	lookup_release(&old);
	return error;
}

/* Cuts the end off; what else is mapped in the range does not matter, as on Linux. */
static int shrink(struct remap *remap)
{
	const struct resize_request *want = &remap->want;
	struct lookup old;
	int error = map_lookup(remap->root, want->start, &old);

	if (error)
		return error;
	lookup_release(&old);
	remap->at = want->start;
	if (want->old_bytes > want->new_bytes)
		error = map_unmap(remap->root, want->start + want->new_bytes,
				  want->old_bytes - want->new_bytes);
	return error;
}

/* MREMAP_DONTUNMAP of a private mapping of a file, which is mapped at the new place, too: what is left at the old one shows the file. */
static int leave_file(struct user_space *space, struct remap *remap, const struct lookup *old,
		      struct file *file)
{
	uint64_t bytes = remap->want.new_bytes;
	int error = show_file_again(space, remap->want.start, bytes, old, file);

	if (!error && old->fork)
		error = map_set_fork(space->root, remap->at, bytes, old->fork, 0);
	if (error) {
		map_unmap(space->root, remap->at, bytes);
	} else if (old->wired) {
		map_wire(space->root, remap->at, bytes);
	}
	return error;
}

/*
 * MREMAP_DONTUNMAP of what is not private and anonymous: there is another mapping of the same, and what is left at the old place shows the same if it is shared, and
 * the file if it is a private mapping of one. 0; -EAGAIN: it is private and anonymous.
 */
static int show_twice(struct user_space *space, struct remap *remap, uint64_t flags, vaddr_t address)
{
	uint64_t bytes = remap->want.new_bytes;
	struct request request = {.pages = bytes_to_pages(bytes)};
	struct lookup old;
	struct file *file;
	int error = map_lookup(remap->root, remap->want.start, &old);

	if (error)
		return error;
	file = old.how.inherit == INHERIT_COPY ? label_file(old.how.label) : NULL;
	if (old.how.inherit != INHERIT_SHARE && !file) {
		error = -EAGAIN;
	} else if (flags & MREMAP_FIXED) {
		request.blob = old.blob;
		request.offset = old.offset;
		request.how = old.how;
		error = map_exactly(space, &request, address, PLACE_REPLACE);
		remap->at = request.at;
	} else {
		error = arenas_try(space, bytes, true, map_again, remap);
	}
	if (!error && file)
		error = leave_file(space, remap, &old, file);
	lookup_release(&old);
	return error;
}

/* The flags and lengths make sense: does it. */
static int do_remap(struct task *task, struct remap *remap, uint64_t flags, vaddr_t address,
		    struct commitment *commitment)
{
	struct user_space *space = task->process->space;
	bool moves = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	int error;

	if (!moves && remap->want.old_bytes >= remap->want.new_bytes)
		return shrink(remap);
	error = flags & MREMAP_FIXED ? check_target(&remap->want, address) : 0;
	if (!error)
		error = check_growth(task, remap, commitment);
	if (!error && (flags & MREMAP_DONTUNMAP)) {
		error = show_twice(space, remap, flags, address);
		if (error != -EAGAIN)
			return error;
		error = 0;
	}
	if (error)
		return error;
	if (flags & MREMAP_FIXED)
		return remap_fixed(remap, address);
	error = remap_anywhere(space, remap);
	/* The blob ends: there is nothing that the mapping could be grown by. */
	return error == -EINVAL && !moves ? -ENOMEM : error;
}

int64_t sys_mremap(struct task *task, struct trapframe *frame)
{
	struct user_space *space = task->process->space;
	uint64_t flags = frame->r10, moving = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	struct remap remap = {
		.root = space->root,
		.want = {.start = frame->rdi,
			 .old_bytes = whole_pages(frame->rsi),
			 .new_bytes = whole_pages(frame->rdx),
			 .may_move = flags & MREMAP_MAYMOVE,
			 .leave_zeroes = flags & MREMAP_DONTUNMAP},
	};
	struct commitment commitment = {0};
	int64_t result;

	if ((flags & ~(uint64_t)KNOWN_FLAGS) || (moving && !(flags & MREMAP_MAYMOVE)))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && remap.want.old_bytes != remap.want.new_bytes)
		return -EINVAL;
	if (!page_aligned(remap.want.start) || remap.want.new_bytes == 0 ||
	    (remap.want.old_bytes == 0 && frame->rsi != 0))
		return -EINVAL;
	if (!user_range(remap.want.start, remap.want.old_bytes))
		return -EFAULT;
	if (remap.want.new_bytes > BLOB_MAX_BYTES)
		return -ENOMEM;
	mutex_lock(&space->lock);
	if (remap.want.old_bytes == 0)
		result = moving ? -EINVAL : duplicate(space, &remap);
	else
		result = do_remap(task, &remap, flags, frame->r8, &commitment);
	commit_end(&commitment);
	mutex_unlock(&space->lock);
	return result < 0 || remap.want.old_bytes == 0 ? result : (int64_t)remap.at;
}
