using System.Runtime.CompilerServices;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>How an engine reads its input, writes its output, and whether it disposes its transformer.</summary>
public sealed class PredictionEngineOptions
{
    public bool IgnoreMissingColumns = true;
    public SchemaDefinition InputSchemaDefinition;
    public SchemaDefinition OutputSchemaDefinition;
    public bool OwnsTransformer = true;

    public PredictionEngineOptions()
    {
    }
}

public abstract class PredictionEngineBase<TSrc, TDst> : IDisposable
    where TSrc : class
    where TDst : class, new()
{
    private readonly InputRow _input;
    private readonly DataViewRow _output;
    private readonly Action<TDst> _write;
    private IDisposable _owned;

    private protected PredictionEngineBase(ITransformer transformer, PredictionEngineOptions options)
    {
        if (!transformer.IsRowToRowMapper)
            throw Contracts.Except(null, "Must be a row to row mapper: the transformer cannot be applied to one row at a time.");
        var members = RowMember<TSrc>.GetAll(options.InputSchemaDefinition, SchemaDefinition.Direction.Read);
        _input = new InputRow(members);
        var mapper = transformer.GetRowToRowMapper(_input.Schema);
        var writer = new RowWriter<TDst>(mapper.OutputSchema, options.IgnoreMissingColumns, options.OutputSchemaDefinition);
        _output = mapper.GetRow(_input, writer.Columns);
        _write = writer.MakeWriter(_output);
        _owned = options.OwnsTransformer ? transformer as IDisposable : null;
        OutputSchema = mapper.OutputSchema;
    }

    public DataViewSchema OutputSchema { get; }

    public TDst Predict(TSrc example)
    {
        var prediction = new TDst();
        Predict(example, ref prediction);
        return prediction;
    }

    /// <summary>Predicts into an object that there is, and its arrays where they are of the right length.</summary>
    public abstract void Predict(TSrc example, ref TDst prediction);

    private protected void PredictCore(TSrc example, ref TDst prediction)
    {
        Contracts.CheckValue(null, example, nameof(example));
        _input.MoveTo(example);
        _write(prediction ??= new TDst());
    }

    public void Dispose()
    {
        _output.Dispose();
        _owned?.Dispose();
        _owned = null;
    }

    /// <summary>The row of the present example: its position is the number of the prediction.</summary>
    private sealed class InputRow : DataViewRow
    {
        private readonly StrongBox<TSrc> _current = new();
        private readonly ColumnGetters _getters;
        private long _position = -1;

        public InputRow(RowMember<TSrc>[] members)
        {
            var builder = new DataViewSchema.Builder();
            builder.AddColumns(members.Select(member => member.Column));
            Schema = builder.ToSchema();
            _getters = new ColumnGetters(Schema, Schema, column => members[column].MakeGetter(_current));
        }

        public override DataViewSchema Schema { get; }

        public override long Position => _position;

        public override long Batch => 0;

        public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId id) => id = new DataViewRowId((ulong)_position, 0);

        public override bool IsColumnActive(DataViewSchema.Column column) => true;

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _getters.Get<TValue>(column);

        public void MoveTo(TSrc example)
        {
            _current.Value = example;
            _position++;
        }
    }
}

/// <summary>Applies a model to one object at a time. It is not thread-safe.</summary>
public sealed class PredictionEngine<TSrc, TDst> : PredictionEngineBase<TSrc, TDst>
    where TSrc : class
    where TDst : class, new()
{
    internal PredictionEngine(ITransformer transformer, PredictionEngineOptions options) : base(transformer, options)
    {
    }

    public override void Predict(TSrc example, ref TDst prediction) => PredictCore(example, ref prediction);
}
