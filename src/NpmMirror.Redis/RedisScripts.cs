namespace NpmMirror.Redis;

/// <summary>
/// The steps of the server. Each script compares before it writes and knows no rule of the mirror beyond that; all keys of a call lie together.
/// A script, and not MULTI after WATCH: a watched key fails every writer of a table at each other's writes, and the connection waits meanwhile. The server
/// writes its effects to its log and its replicas as one MULTI.
/// </summary>
internal static class RedisScripts
{
    /// <summary>Notes a newer schema, unless another program has changed it meanwhile. KEYS: schema. ARGV: the one that was read, the newer one.</summary>
    internal const string RaiseSchema = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end";

    /// <summary>A package's row, and the lengths under its two keys of documents.</summary>
    internal const string Find =
        """
        local row = redis.call('HMGET', KEYS[1], unpack(ARGV))
        row[#ARGV + 1] = redis.call('STRLEN', KEYS[2])
        row[#ARGV + 2] = redis.call('STRLEN', KEYS[3])
        return row
        """;

    /// <summary>
    /// Writes a package, if its row has the generation that was expected. A commit that was sent twice, because its answer was lost, counts once.
    /// KEYS: row, module, document, pending, the sent document, archived, the archive's place, the sent archive.
    /// ARGV: expected generation, commit, facts, whether there is a document, whether an uncompressed one is shown, codec, raw size, SHA-256, index, whether the
    /// document stored before is archived, how (nothing, moved, sent, purged), its SHA-256, its form; events.
    /// Returns the outcome (0 another generation, 1 written, 2 the sent document is gone), the generation, the last position.
    /// </summary>
    internal const string Commit =
        """
        local row = redis.call('HMGET', KEYS[1], 'generation', 'commit', 'last_position', 'place', 'codec')
        local generation = row[1] or '0'
        if row[1] and not string.match(row[1], '^%d+$') then generation = '1' end
        if row[2] == ARGV[2] then return {1, generation, row[3] or '0'} end
        if generation ~= ARGV[1] then return {0, generation, row[3] or '0'} end
        local has_document = ARGV[4] == '1'
        if generation == '0' and not has_document then return {0, generation, '0'} end
        if has_document and redis.call('EXISTS', KEYS[5]) == 0 then return {2, generation, row[3] or '0'} end

        local old = row[4] == 'module' and KEYS[2] or KEYS[3]
        local codec = has_document and ARGV[6] or row[5]
        local place = codec == '0' and ARGV[5] == '1' and 'module' or 'document'
        local new = place == 'module' and KEYS[2] or KEYS[3]
        if has_document then
          if ARGV[11] ~= '' and redis.call('HSETNX', KEYS[6], ARGV[12], ARGV[13]) == 1 then
            local from = ARGV[11] == 'sent' and KEYS[8] or old
            if ARGV[11] ~= 'purged' and redis.call('EXISTS', from) == 1 then
              redis.call('RENAME', from, KEYS[7])
              redis.call('PERSIST', KEYS[7])
            end
          end
          redis.call('DEL', KEYS[2], KEYS[3])
          redis.call('RENAME', KEYS[5], new)
          redis.call('PERSIST', new)
          redis.call('HSET', KEYS[1], 'codec', ARGV[6], 'raw_size', ARGV[7], 'sha256', ARGV[8], 'index', ARGV[9], 'pinned', '0')
        else
          if new ~= old and redis.call('EXISTS', old) == 1 then redis.call('RENAME', old, new) end
          if ARGV[10] == '1' then redis.call('HSET', KEYS[1], 'pinned', '1') end
        end

        local last = row[3] or '0'
        if #ARGV > 13 then last = '0' end
        for i = 14, #ARGV do redis.call('RPUSH', KEYS[4], ARGV[i]) end
        generation = string.format('%.0f', tonumber(generation) + 1)
        redis.call('HSET', KEYS[1], 'generation', generation, 'commit', ARGV[2], 'last_position', last, 'place', place, 'facts', ARGV[3])
        return {1, generation, last}
        """;

    /// <summary>
    /// Puts a package as it is elsewhere. One that was sent twice, because its answer was lost, counts once. KEYS: row, module, document, the sent document, archived, the
    /// place in the archive of the document stored before. ARGV: the put, generation, last position, codec (4: there is no document), raw size, SHA-256, the document's
    /// place, whether it is pinned, facts, index. Returns whether it was put; else the sent document is gone.
    /// </summary>
    internal const string Put =
        """
        local row = redis.call('HMGET', KEYS[1], 'commit', 'place', 'codec', 'raw_size', 'sha256', 'pinned')
        if row[1] == ARGV[1] then return 1 end
        local is_sent = redis.call('EXISTS', KEYS[4]) == 1
        if ARGV[4] ~= '4' and not is_sent then return 0 end
        local old = row[2] == 'module' and KEYS[2] or KEYS[3]
        if row[6] == '1' and row[5] ~= ARGV[6] and redis.call('HSETNX', KEYS[5], row[5], row[3] .. ' ' .. row[4]) == 1 and redis.call('EXISTS', old) == 1 then
          redis.call('RENAME', old, KEYS[6])
        end
        redis.call('DEL', KEYS[2], KEYS[3])
        if is_sent then
          local new = ARGV[7] == 'module' and KEYS[2] or KEYS[3]
          redis.call('RENAME', KEYS[4], new)
          redis.call('PERSIST', new)
        end
        redis.call('HSET', KEYS[1], 'commit', ARGV[1], 'generation', ARGV[2], 'last_position', ARGV[3], 'codec', ARGV[4], 'raw_size', ARGV[5], 'sha256', ARGV[6],
          'place', ARGV[7], 'pinned', ARGV[8], 'facts', ARGV[9], 'index', ARGV[10])
        return 1
        """;

    /// <summary>
    /// Notes packages in the lists, unless a newer generation was noted, and keeps the counts. KEYS: held, removed, marks, counts. ARGV: name, mark; name, mark; …
    /// A mark begins with its generation, whether the package is removed, and its raw size.
    /// </summary>
    internal const string List =
        """
        local function read(mark)
          local generation, removed, size = string.match(mark or '', '^(%d+) ([01]) (%d+) ')
          return tonumber(generation), removed, size
        end
        local function count(removed, packages, bytes)
          redis.call('HINCRBY', KEYS[4], removed == '1' and 'removed' or 'packages', packages)
          redis.call('HINCRBY', KEYS[4], 'raw_bytes', bytes)
        end
        for i = 1, #ARGV, 2 do
          local name, mark = ARGV[i], ARGV[i + 1]
          local generation, removed, size = read(mark)
          local old_generation, old_removed, old_size = read(redis.call('HGET', KEYS[3], name))
          if not old_generation or old_generation <= generation then
            if old_generation then count(old_removed, -1, string.format('%.0f', 0 - tonumber(old_size))) end
            count(removed, 1, size)
            redis.call('HSET', KEYS[3], name, mark)
            if old_removed ~= removed then
              redis.call('ZREM', removed == '1' and KEYS[1] or KEYS[2], name)
              redis.call('ZADD', removed == '1' and KEYS[2] or KEYS[1], 0, name)
            end
          end
        end
        """;

    /// <summary>
    /// Appends rows to the log, if its end is still the one they were chained to. Readers see them after <see cref="Show"/>.
    /// KEYS: head, changes, pages. ARGV: position, hash; the new ones; the packages to be told; how many packages; name, position; … ; the key and the text of each row.
    /// </summary>
    internal const string Append =
        """
        local head = redis.call('HMGET', KEYS[1], 'position', 'hash', 'unfinished')
        if (head[1] or '0') ~= ARGV[1] or (head[2] or ARGV[2]) ~= ARGV[2] or (head[3] or '') ~= '' then return 0 end
        local at = 6 + 2 * tonumber(ARGV[6])
        for i = 7, at, 2 do redis.call('ZADD', KEYS[2], ARGV[i + 1], ARGV[i]) end
        for i = at + 1, #ARGV, 2 do redis.call('RPUSH', KEYS[tonumber(ARGV[i])], ARGV[i + 1]) end
        redis.call('HSET', KEYS[1], 'position', ARGV[3], 'hash', ARGV[4], 'unfinished', ARGV[5])
        return 1
        """;

    /// <summary>
    /// Tells a package that its events have their numbers. May be repeated, and may come late. KEYS: row, pending, history.
    /// ARGV: generation and ordinal of its last numbered event, its first position, its last.
    /// </summary>
    internal const string Finish =
        """
        local generation, ordinal, first, last = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
        while true do
          local event = redis.call('LINDEX', KEYS[2], 0)
          if not event then break end
          local g, o = string.match(event, '^(%d+) (%d+) ')
          if g and (tonumber(g) > generation or (tonumber(g) == generation and tonumber(o) > ordinal)) then break end
          redis.call('LPOP', KEYS[2])
        end
        for position = first, last do
          local text = string.format('%.0f', position)
          redis.call('ZADD', KEYS[3], text, text)
        end
        if redis.call('LLEN', KEYS[2]) == 0 and (tonumber(redis.call('HGET', KEYS[1], 'last_position') or '0') or 0) < last then
          redis.call('HSET', KEYS[1], 'last_position', ARGV[4])
        end
        """;

    /// <summary>Shows the log's end to readers, after all packages were told. KEYS: head. ARGV: position.</summary>
    internal const string Show =
        """
        local head = redis.call('HMGET', KEYS[1], 'position', 'hash')
        if head[1] ~= ARGV[1] then return 0 end
        redis.call('HSET', KEYS[1], 'shown_position', head[1], 'shown_hash', head[2], 'unfinished', '')
        return 1
        """;

    /// <summary>Takes fields away that still have these values. KEYS: a hash. ARGV: field, value; field, value; …</summary>
    internal const string RemoveSame =
        """
        for i = 1, #ARGV, 2 do
          if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
        end
        """;

    /// <summary>The clock of the server that has a key: seconds, microseconds.</summary>
    internal const string Clock =
        """
        local time = redis.call('TIME')
        return {tonumber(time[1]), tonumber(time[2])}
        """;

    /// <summary>Sets a field that still has this value. KEYS: a hash. ARGV: field, its value (empty: none), the new one (empty: none).</summary>
    internal const string Swap =
        """
        if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
        if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
        return 1
        """;

    /// <summary>Replaces an element of a list that is still this one. KEYS: a list. ARGV: its place, itself, the new one.</summary>
    internal const string SwapAt =
        """
        if redis.call('LINDEX', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
        redis.call('LSET', KEYS[1], ARGV[1], ARGV[3])
        return 1
        """;

    /// <summary>
    /// Drops documents of a package, if its row has the generation that was expected. KEYS: row, module, document, archived; the archives.
    /// ARGV: generation, the SHA-256 of each archive. Returns how many bytes went, or -1, and whether the current document did.
    /// </summary>
    internal const string Purge =
        """
        local row = redis.call('HMGET', KEYS[1], 'generation', 'sha256', 'raw_size')
        if row[1] ~= ARGV[1] then return {-1, 0} end
        local bytes, current = 0, 0
        for i = 2, #ARGV do
          if ARGV[i] == row[2] then
            current = 1
            bytes = bytes + redis.call('STRLEN', KEYS[2]) + redis.call('STRLEN', KEYS[3])
            redis.call('DEL', KEYS[2], KEYS[3])
            redis.call('HSET', KEYS[1], 'codec', '4', 'place', 'document')
          end
          local form = redis.call('HGET', KEYS[4], ARGV[i])
          if form then
            bytes = bytes + redis.call('STRLEN', KEYS[3 + i])
            redis.call('DEL', KEYS[3 + i])
            redis.call('HSET', KEYS[4], ARGV[i], '4 ' .. string.match(form, '%d+$'))
          end
        end
        redis.call('HSET', KEYS[1], 'generation', string.format('%.0f', tonumber(row[1]) + 1), 'commit', '')
        return {bytes, current}
        """;

    /// <summary>
    /// Changes items of the queue that are still as they were read. KEYS: items, names, leased, due by priority.
    /// ARGV: name, item (empty: none), the new one (empty: none), the place of its sorted set among the keys, its score; … Returns of each whether it was changed.
    /// </summary>
    internal const string SwapQueued =
        """
        local outcomes = {}
        for i = 1, #ARGV, 5 do
          local name, place = ARGV[i], tonumber(ARGV[i + 3])
          if (redis.call('HGET', KEYS[1], name) or '') == ARGV[i + 1] then
            for k = 3, #KEYS do
              if k ~= place then redis.call('ZREM', KEYS[k], name) end
            end
            if ARGV[i + 2] == '' then
              redis.call('HDEL', KEYS[1], name)
              redis.call('ZREM', KEYS[2], name)
            else
              redis.call('HSET', KEYS[1], name, ARGV[i + 2])
              redis.call('ZADD', KEYS[2], 0, name)
              redis.call('ZADD', KEYS[place], ARGV[i + 4], name)
            end
            outcomes[#outcomes + 1] = 1
          else
            outcomes[#outcomes + 1] = 0
          end
        end
        return outcomes
        """;

    /// <summary>
    /// Changes a package's row of a tarball that is still as it was read. KEYS: rows, files, sum. ARGV: file, row (empty: none), the new one (empty:
    /// none), by how many tarballs and bytes more are held. Returns the sum (how often it changed, tarballs, bytes), or nothing where the row is another.
    /// </summary>
    internal const string SwapTarball =
        """
        if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return {} end
        if ARGV[3] == '' then
          redis.call('HDEL', KEYS[1], ARGV[1])
          redis.call('ZREM', KEYS[2], ARGV[1])
        else
          redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
          redis.call('ZADD', KEYS[2], 0, ARGV[1])
        end
        return {
          redis.call('HINCRBY', KEYS[3], 'changes', 1),
          redis.call('HINCRBY', KEYS[3], 'tarballs', ARGV[4]),
          redis.call('HINCRBY', KEYS[3], 'bytes', ARGV[5]),
        }
        """;

    /// <summary>Notes a package's sum of tarballs, unless a later one was noted, and keeps the whole. KEYS: sums, counts. ARGV: name, changes, tarballs, bytes.</summary>
    internal const string SumTarballs =
        """
        local changes, tarballs, bytes = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%d+) (%d+) (%d+)$')
        if changes and tonumber(changes) >= tonumber(ARGV[2]) then return 0 end
        redis.call('HSET', KEYS[1], ARGV[1], table.concat({ARGV[2], ARGV[3], ARGV[4]}, ' '))
        if changes then
          redis.call('HINCRBY', KEYS[2], 'tarballs', string.format('%.0f', 0 - tonumber(tarballs)))
          redis.call('HINCRBY', KEYS[2], 'bytes', string.format('%.0f', 0 - tonumber(bytes)))
        end
        redis.call('HINCRBY', KEYS[2], 'tarballs', ARGV[3])
        redis.call('HINCRBY', KEYS[2], 'bytes', ARGV[4])
        return 1
        """;

    /// <summary>Adds to counts of downloads. KEYS: counts, their fields in order. ARGV: field, count; field, count; …</summary>
    internal const string AddAccesses =
        """
        for i = 1, #ARGV, 2 do
          redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
          redis.call('ZADD', KEYS[2], 0, ARGV[i])
        end
        """;

    /// <summary>Drops counts of downloads. KEYS: counts, their fields in order. ARGV: fields. Returns how many there were.</summary>
    internal const string DropAccesses =
        """
        local dropped = 0
        for i = 1, #ARGV do
          dropped = dropped + redis.call('HDEL', KEYS[1], ARGV[i])
          redis.call('ZREM', KEYS[2], ARGV[i])
        end
        return dropped
        """;
}
