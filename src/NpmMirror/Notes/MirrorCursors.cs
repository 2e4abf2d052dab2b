using NpmMirror.Removals;
using NpmMirror.Syncing;

namespace NpmMirror.Notes;

/// <summary>The names of the cursors that a mirror keeps.</summary>
internal static class MirrorCursors
{
    /// <summary>How far the feed was read: every name up to it is durably queued.</summary>
    public const string Read = "feed:read";

    /// <summary>How far the feed was handled: <c>rev</c>, <c>lastSeq</c> and the classic <c>seq:last_seq</c>.</summary>
    public const string Handled = "seq:last_seq";

    /// <summary>Which feed, and which life of its database, the two belong to.</summary>
    public const string Feed = "feed:location";

    /// <summary>The follower's trail (see <see cref="Following.FollowingState"/>).</summary>
    public const string Trail = "feed:trail";

    /// <summary>The upstream's identity as last known, so that rows compare before the feed has answered again.</summary>
    public const string Upstream = "upstream:identity";

    /// <summary>There while a walk over everything goes on, for <c>status</c>: the head that was noted before it began.</summary>
    public const string WalkHead = "feed:walk-head";

    /// <summary>The last whole reconciliation, as JSON (see <see cref="Notes.Reconciliation"/>).</summary>
    public const string Reconciliation = "reconcile:last";

    /// <summary>The reconciliation that was begun after it and did not end, as JSON (see <see cref="UnfinishedReconciliation"/>).</summary>
    public const string ReconciliationUnfinished = "reconcile:unfinished";

    /// <summary>When the next reconciliation is due.</summary>
    public const string ReconciliationDue = "reconcile:due";

    /// <summary>Removals within the hour, and whether more are held back, as JSON (see <see cref="RemovalState"/>).</summary>
    public const string Removals = "removals:hour";

    /// <summary>Packages that were given up, as JSON (see <see cref="GivenUpPackages"/>).</summary>
    public const string GivenUp = "queue:given-up";

    /// <summary>Pauses in requests to the upstream, as JSON (see <see cref="NotedPause"/>).</summary>
    public const string Pauses = "upstream:pauses";

    /// <summary>The wanted packages when they were queued last (see <see cref="PackageScope.Fingerprint"/>).</summary>
    public const string Scope = "scope:queued";

    /// <summary>The node that leads, and a count that goes on while it follows (see <see cref="Following.Leadership"/>).</summary>
    public const string Leader = "nodes:leader";

    /// <summary>The nodes that share the store, as JSON (see <see cref="NotedNode"/>).</summary>
    public const string Nodes = "nodes:all";

    /// <summary>There in a store that was copied from another, as JSON: from which mirror, and whether the copy is whole.</summary>
    public const string Copy = "copy";

    /// <summary>This mirror's instance id.</summary>
    public const string Instance = "instance";
}
