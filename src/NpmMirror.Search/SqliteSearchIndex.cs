using NpmMirror.Searching;

namespace NpmMirror.Search;

/// <summary>The search index in a SQLite file of its own, <c>search.db</c> in the data folder. The file may be deleted while no mirror runs; it is built again.</summary>
public sealed class SqliteSearchIndex : ISearchIndex
{
    /// <summary>The file's name in the data folder.</summary>
    public const string FileName = "search.db";

    private const int GradeBatch = 10_000;
    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _writing = new(1);
    private volatile SearchReaders? _readers;
    private SearchSession? _writer;
    private FileStream? _lock;
    private CancellationTokenSource _broken = new();
    private long _packages;
    private bool _isDisposed;

    /// <summary>Takes the folder; nothing is opened yet.</summary>
    /// <param name="dataFolder">The mirror's data folder.</param>
    /// <param name="time">The clock.</param>
    public SqliteSearchIndex(string dataFolder, TimeProvider time) => (_path, _time) = (Path.GetFullPath(Path.Combine(dataFolder, FileName)), time);

    /// <inheritdoc/>
    public string Location => _path;

    /// <inheritdoc/>
    public CancellationToken Broken => _broken.Token;

    /// <inheritdoc/>
    public (long Packages, long SizeBytes) Count()
    {
        long size = 0;
        foreach (var file in (string[])[_path, _path + "-wal"])
        {
            var info = new FileInfo(file);
            size += info.Exists ? info.Length : 0;
        }

        return (Interlocked.Read(ref _packages), size);
    }

    /// <inheritdoc/>
    public Task<OpenedIndex> OpenAsync(CancellationToken cancellationToken) => WriteAsync(() =>
    {
        if (TryLock() is { } reason)
        {
            return OpenForReading(reason);
        }

        Close(keepLock: true);
        return OpenForWriting();
    }, cancellationToken);

    /// <inheritdoc/>
    public Task ClearAsync(IndexMark mark, CancellationToken cancellationToken) => WriteAsync(() =>
    {
        // A file of no pages that once held others' is smaller and faster than an emptied one.
        Close(keepLock: true);
        Delete();
        _ = Begin();
        Writer.InTransaction(() => SearchSchema.WriteMark(Writer, mark));
        return true;
    }, cancellationToken);

    /// <inheritdoc/>
    public async Task WriteAsync(IReadOnlyList<IndexChange> changes, IndexMark mark, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(mark);
        var prepared = await Task.Run(() => PreparedPackage.Of(changes), cancellationToken);
        await WriteAsync(() =>
        {
            Writer.InTransaction(() =>
            {
                var writer = new IndexWriter(Writer);
                if (mark.Built is null)
                {
                    writer.Change(prepared);
                }
                else
                {
                    writer.Add(prepared);
                }

                SearchSchema.WriteMark(Writer, mark);
            });
            return true;
        }, cancellationToken);
    }

    /// <inheritdoc/>
    public async Task CompleteAsync(IndexMark mark, CancellationToken cancellationToken)
    {
        string? after = "";
        while (after is not null)
        {
            var from = after;
            after = await WriteAsync(() =>
            {
                string? last = null;
                Writer.InTransaction(() => last = new IndexWriter(Writer).GradeNext(from, GradeBatch));
                return last;
            }, cancellationToken);
        }

        await WriteAsync(() =>
        {
            Writer.InTransaction(() => SearchSchema.WriteMark(Writer, mark));
            Writer.MergeWrites();
            return true;
        }, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<SearchAnswer> FindAsync(SearchQuery query, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(query);
        var text = QueryText.Parse(query);
        return ReadAsync(session => new Finding(session, text, text.Weights ?? query.Weights, _time.GetUtcNow()).Run(Math.Clamp(query.From, 0, int.MaxValue / 2), Math.Clamp(query.Size, 0, SearchQuery.SizeMax)), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<SearchAnswer> BrowseAsync(string prefix, PackageName? after, int size, CancellationToken cancellationToken) =>
        ReadAsync(session => Hits.Browse(session, prefix, after?.Value ?? "", Math.Clamp(size, 1, SearchQuery.SizeMax), _time.GetUtcNow()), cancellationToken);

    /// <inheritdoc/>
    public ValueTask<SearchAnswer> ListDependentsAsync(PackageName package, int from, int size, CancellationToken cancellationToken) =>
        ReadAsync(session => Hits.Dependents(session, package, Math.Max(from, 0), Math.Clamp(size, 1, SearchQuery.SizeMax), _time.GetUtcNow()), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<IndexMark?> PeekAsync(CancellationToken cancellationToken)
    {
        if (!File.Exists(_path))
        {
            return null;
        }

        using var readers = new SearchReaders(_path, isImmutable: false, _time);
        try
        {
            return await readers.ReadAsync(session =>
            {
                var isKnown = SearchSchema.IsKnown(session);
                Interlocked.Exchange(ref _packages, isKnown ? SearchSchema.ReadNumber(session, "packages") : 0);
                return isKnown ? SearchSchema.ReadMark(session) : null;
            }, cancellationToken);
        }
        catch (SearchFileException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            await _writing.WaitAsync(CancellationToken.None);
            Close();
            _writing.Dispose();
            _broken.Dispose();
        }
    }

    private SearchSession Writer => _writer ?? throw new InvalidOperationException("The index is not open for writing.");

    private OpenedIndex OpenForWriting()
    {
        var remark = $"The search index {_path} is damaged and is built again.";
        if (_broken.IsCancellationRequested)
        {
            _broken = new CancellationTokenSource();
        }
        else
        {
            try
            {
                return new OpenedIndex(Begin(), IsWritten: true, null);
            }
            catch (SearchFileException e) when (e.IsDamage)
            {
                remark = $"The search index {_path} is damaged ({e.Message}) and is built again.";
            }
        }

        Close(keepLock: true);
        Delete();
        return new OpenedIndex(Begin(), IsWritten: true, remark);
    }

    /// <summary>Opens the file, makes it where it is missing or of another form, and lets readers in.</summary>
    private IndexMark? Begin()
    {
        _writer = SearchSession.Open(_path, isWriter: true);
        if (!SearchSchema.IsKnown(_writer))
        {
            if (!SearchSchema.IsEmpty(_writer))
            {
                Close(keepLock: true);
                Delete();
                _writer = SearchSession.Open(_path, isWriter: true);
            }

            SearchSchema.Create(_writer);
        }

        var mark = SearchSchema.ReadMark(_writer);
        Interlocked.Exchange(ref _packages, SearchSchema.ReadNumber(_writer, "packages"));
        _readers = new SearchReaders(_path, isImmutable: false, _time);
        return mark;
    }

    private OpenedIndex OpenForReading(string reason)
    {
        foreach (var isImmutable in (bool[])[false, true])
        {
            try
            {
                using var session = SearchSession.Open(_path, isWriter: false, isImmutable);
                if (SearchSchema.IsKnown(session) && SearchSchema.ReadMark(session) is { } mark)
                {
                    Interlocked.Exchange(ref _packages, SearchSchema.ReadNumber(session, "packages"));
                    var before = _readers;
                    // New ones each time: the file may be another one than it was.
                    _readers = new SearchReaders(_path, isImmutable, _time);
                    before?.Dispose();
                    return new OpenedIndex(mark, IsWritten: false, reason);
                }
            }
            catch (SearchFileException)
            {
                // Not there yet, or on a disk that is only read.
            }
        }

        return new OpenedIndex(null, IsWritten: false, reason);
    }

    /// <summary>Takes the right to write the file; else the reason why it is only read.</summary>
    private string? TryLock()
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            _lock ??= new FileStream(_path + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return null;
        }
        catch (IOException)
        {
            return $"Another process keeps the search index {_path}; it is only read here.";
        }
        catch (UnauthorizedAccessException)
        {
            return $"The search index {_path} cannot be written; it is only read, as it is.";
        }
    }

    private void Close(bool keepLock = false)
    {
        _readers?.Dispose();
        _writer?.Dispose();
        (_readers, _writer) = (null, null);
        if (!keepLock)
        {
            _lock?.Dispose();
            _lock = null;
        }
    }

    private void Delete()
    {
        foreach (var ending in (string[])["-wal", "-shm", ""])
        {
            File.Delete(_path + ending);
        }

        Interlocked.Exchange(ref _packages, 0);
    }

    private async ValueTask<SearchAnswer> ReadAsync(Func<SearchSession, SearchAnswer> read, CancellationToken cancellationToken)
    {
        try
        {
            var readers = _readers ?? throw NotOpen();
            try
            {
                return await readers.ReadAsync(read, cancellationToken);
            }
            catch (ObjectDisposedException) when (_readers is { } newer && newer != readers)
            {
                return await newer.ReadAsync(read, cancellationToken);
            }
        }
        catch (SearchFileException e)
        {
            NoteDamage(e);
            throw e.ToMirrorException(_path);
        }
        catch (ObjectDisposedException)
        {
            throw NotOpen();
        }
    }

    private async Task<T> WriteAsync<T>(Func<T> write, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            // Its calls block.
            return await Task.Run(() =>
            {
                var result = write();
                if (_writer is { } writer && SearchSchema.IsKnown(writer))
                {
                    Interlocked.Exchange(ref _packages, SearchSchema.ReadNumber(writer, "packages"));
                }

                return result;
            }, CancellationToken.None);
        }
        catch (SearchFileException e)
        {
            NoteDamage(e);
            throw e.ToMirrorException(_path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MirrorException(MirrorFault.StoreReadOnly, $"The search index {_path} cannot be written ({e.Message}); check its folder.", isTransient: true, inner: e);
        }
        finally
        {
            _writing.Release();
        }
    }

    private static MirrorException NotOpen() => new(MirrorFault.StoreUnavailable, "The search index is not open yet; search again soon.", isTransient: true, TimeSpan.FromSeconds(1));

    private void NoteDamage(SearchFileException e)
    {
        if (e.IsDamage)
        {
            _broken.Cancel();
        }
    }
}
