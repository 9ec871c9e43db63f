using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Looks up columns that must be there.</summary>
internal static class SchemaExtensions
{
    public static DataViewSchema.Column GetColumn(this DataViewSchema schema, IExceptionContext ctx, string role, string name,
        string paramName = "inputSchema")
    {
        ctx.CheckNonEmpty(name, paramName);
        return schema.GetColumnOrNull(name) ?? throw ctx.ExceptSchemaMismatch(paramName, role, name);
    }

    public static SchemaShape.Column GetColumn(this SchemaShape schema, IExceptionContext ctx, string role, string name) =>
        schema.TryFindColumn(name, out var column) ? column : throw ctx.ExceptSchemaMismatch("inputSchema", role, name);
}
