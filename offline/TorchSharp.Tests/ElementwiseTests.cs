// Element-wise operators, in all their forms, against System.Math.
using static TorchSharp.Tests.Expect;
using F = TorchSharp.torch.nn.functional;

namespace TorchSharp.Tests;

public class ElementwiseTests
{
    private static readonly double[] Any = [-2.5, -1, -0.3, 0, 0.5, 1, 2, 3.7];
    private static readonly double[] Positive = [0.1, 0.5, 1, 2, 3.7];
    private static readonly double[] Unit = [-0.9, -0.5, 0, 0.3, 0.8];

    public static readonly TheoryData<Unary> Unaries =
    [
        new("abs", Math.Abs, Any, x => x.abs(), abs, x => x.abs_(), x => x.absolute(), absolute, x => x.absolute_()),
        new("neg", x => -x, Any, x => x.neg(), neg, x => x.neg_(), x => x.negative(), negative, x => -x),
        new("sign", x => Math.Sign(x), Any, x => x.sign(), sign, x => x.sign_(), x => x.sgn(), sgn, x => x.sgn_()),
        new("positive", x => x, Any, x => x.positive(), positive, x => x.clone(), clone, x => x.alias()),
        new("exp", Math.Exp, Any, x => x.exp(), exp, x => x.exp_()),
        new("exp2", x => Math.Pow(2, x), Any, x => x.exp2(), exp2),
        new("expm1", x => Math.Exp(x) - 1, Any, x => x.expm1(), expm1, x => x.expm1_()),
        new("log", Math.Log, Positive, x => x.log(), log, x => x.log_()),
        new("log1p", x => Math.Log(1 + x), Positive, x => x.log1p(), log1p, x => x.log1p_()),
        new("log2", Math.Log2, Positive, x => x.log2(), log2, x => x.log2_()),
        new("log10", Math.Log10, Positive, x => x.log10(), log10, x => x.log10_()),
        new("sqrt", Math.Sqrt, Positive, x => x.sqrt(), sqrt, x => x.sqrt_()),
        new("rsqrt", x => 1 / Math.Sqrt(x), Positive, x => x.rsqrt(), rsqrt, x => x.rsqrt_()),
        new("square", x => x * x, Any, x => x.square(), square),
        new("reciprocal", x => 1 / x, Positive, x => x.reciprocal(), reciprocal, x => x.reciprocal_(), x => 1 / x, x => 1.0 / x,
            x => 1L / x, x => 1f / x),
        new("sin", Math.Sin, Any, x => x.sin(), sin, x => x.sin_()),
        new("cos", Math.Cos, Any, x => x.cos(), cos, x => x.cos_()),
        new("tan", Math.Tan, Any, x => x.tan(), tan, x => x.tan_()),
        new("asin", Math.Asin, Unit, x => x.asin(), asin, x => x.asin_()),
        new("acos", Math.Acos, Unit, x => x.acos(), acos, x => x.acos_()),
        new("atan", Math.Atan, Any, x => x.atan(), atan, x => x.atan_()),
        new("sinh", Math.Sinh, Any, x => x.sinh(), sinh, x => x.sinh_()),
        new("cosh", Math.Cosh, Any, x => x.cosh(), cosh, x => x.cosh_()),
        new("tanh", Math.Tanh, Any, x => x.tanh(), tanh, x => x.tanh_(), x => F.tanh(x), x => F.tanh(x, inplace: true)),
        new("sigmoid", Sigmoid, Any, x => x.sigmoid(), sigmoid, x => x.sigmoid_(), F.sigmoid),
        new("logit", x => Math.Log(x / (1 - x)), [0.1, 0.5, 0.7], x => x.logit(), x => logit(x)),
        new("log_sigmoid", x => Math.Log(Sigmoid(x)), Any, x => x.log_sigmoid(), F.logsigmoid),
        new("relu", x => Math.Max(x, 0), Any, x => x.relu(), x => x.relu_(), x => F.relu(x), x => F.relu(x, inplace: true)),
        new("relu6", x => Math.Clamp(x, 0, 6), [-1, 3, 7], x => x.relu6(), x => x.relu6_()),
        new("leaky_relu", x => x < 0 ? 0.1 * x : x, Any, x => x.leaky_relu(0.1), x => F.leaky_relu(x, 0.1),
            x => F.leaky_relu(x, 0.1, inplace: true)),
        new("silu", x => x * Sigmoid(x), Any, x => x.silu(), x => x.silu_(), x => F.silu(x), x => F.silu(x, inplace: true)),
        new("gelu", x => x * Normal(x), Any, x => x.gelu(), F.gelu),
        new("selu", x => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (Math.Exp(x) - 1)), Any, x => x.selu(), x => x.selu_()),
        new("softplus", x => Math.Log(1 + Math.Exp(x)), Any, x => x.softplus(), x => F.softplus(x)),
        new("erf", x => 2 * Normal(x * Math.Sqrt(2)) - 1, Any, x => x.erf(), erf, x => x.erf_()),
        new("erfc", x => 2 - 2 * Normal(x * Math.Sqrt(2)), Any, x => x.erfc(), erfc, x => x.erfc_()),
        new("floor", Math.Floor, Any, x => x.floor(), floor, x => x.floor_()),
        new("ceil", Math.Ceiling, Any, x => x.ceil(), ceil, x => x.ceil_()),
        new("trunc", Math.Truncate, Any, x => x.trunc(), trunc, x => x.trunc_()),
        new("frac", x => x - Math.Truncate(x), Any, x => x.frac(), frac, x => x.frac_()),
        new("round", x => Math.Round(x, 1), [-1.26, 0.74, 2.01], x => x.round(1), x => round(x, 1), x => x.round_(1)),
        new("angle", x => x < 0 ? Math.PI : 0, [-1, 0, 2], x => x.angle(), angle),
        new("isnan", x => double.IsNaN(x) ? 1 : 0, [1, double.NaN, double.PositiveInfinity], x => x.isnan(), isnan),
        new("isinf", x => double.IsInfinity(x) ? 1 : 0, [1, double.NaN, double.NegativeInfinity], x => x.isinf(), isinf),
        new("isposinf", x => double.IsPositiveInfinity(x) ? 1 : 0, [1, double.NegativeInfinity, double.PositiveInfinity], x => x.isposinf(),
            isposinf),
        new("isneginf", x => double.IsNegativeInfinity(x) ? 1 : 0, [1, double.NegativeInfinity, double.PositiveInfinity], x => x.isneginf(),
            isneginf),
        new("isfinite", x => double.IsFinite(x) ? 1 : 0, [1, double.NaN, double.PositiveInfinity], x => x.isfinite(), isfinite),
        new("nan_to_num", x => double.IsNaN(x) ? 7 : x, [1, double.NaN], x => x.nan_to_num(7), x => nan_to_num(x, 7)),
        new("signbit", x => x < 0 ? 1 : 0, [-1, 2], x => x.signbit(), signbit),
        new("logical_not", x => x == 0 ? 1 : 0, Any, x => x.logical_not(), logical_not, x => x.logical_not_()),
        new("clamp", x => Math.Clamp(x, -1, 2), Any, x => x.clamp(-1, 2), x => clamp(x, -1, 2), x => x.clamp_(-1, 2), x => clamp_(x, -1, 2),
            x => x.clamp(V(-1), V(2)), x => clamp(x, V(-1), V(2)), x => x.clamp_(V(-1), V(2)), x => clamp_(x, V(-1), V(2)),
            x => x.clip(-1, 2), x => clip(x, -1, 2)),
        new("clamp_min", x => Math.Max(x, 1), Any, x => x.clamp_min(1), x => clamp_min(x, 1), x => x.clamp_min_(1), x => clamp_min_(x, 1),
            x => x.clamp(min: (Scalar)1)),
        new("clamp_max", x => Math.Min(x, 1), Any, x => x.clamp_max(1), x => clamp_max(x, 1), x => x.clamp_max_(1), x => clamp_max_(x, 1)),
        new("fill_", x => 5, Any, x => x.fill_(5), x => nn.init.constant_(x, 5)),
        new("zero_", x => 0, Any, x => x.zero_(), nn.init.zeros_),
        new("ones_", x => 1, Any, nn.init.ones_),
        new("in place", Math.Exp, Any, exp_),
        new("in place", Math.Sqrt, Positive, sqrt_),
        new("in place", x => 1 / Math.Sqrt(x), Positive, rsqrt_),
        new("in place", Math.Log, Positive, log_),
        new("in place", Math.Abs, Any, abs_),
        new("in place", x => -x, Any, neg_),
        new("in place", Math.Floor, Any, floor_),
        new("in place", Math.Ceiling, Any, ceil_),
        new("in place", Math.Tanh, Any, tanh_),
        new("in place", Sigmoid, Any, sigmoid_),
    ];

    public static readonly TheoryData<Binary> Binaries =
    [
        new("add", (x, y) => x + y, (x, y) => x.add(y), add, (x, y) => x.add_(y), add_, (x, y) => x + y),
        new("add with alpha", (x, y) => x + 3 * y, (x, y) => x.add(y, 3), (x, y) => x.add_(y, 3), (x, y) => add(x, y, 3),
            (x, y) => add_(x, y, 3)),
        new("add scalar", (x, _) => x + 2, (x, _) => x.add(2), (x, _) => x.add_(2), (x, _) => add(x, 2), (x, _) => add_(x, 2),
            (x, _) => x + 2, (x, _) => x + 2L, (x, _) => x + 2f, (x, _) => x + 2.0, (x, _) => 2 + x, (x, _) => 2L + x, (x, _) => 2f + x,
            (x, _) => 2.0 + x, (x, _) => x + (Scalar)2, (x, _) => (Scalar)2 + x, (x, _) => x.add(1, 2), (x, _) => x.add_(1, 2)),
        new("sub", (x, y) => x - y, (x, y) => x.sub(y), sub, (x, y) => x.sub_(y), sub_, (x, y) => x - y, (x, y) => x.subtract(y), subtract,
            (x, y) => x.subtract_(y)),
        new("sub scalar", (x, _) => x - 2, (x, _) => x.sub(2), (x, _) => x.sub_(2), (x, _) => sub(x, 2), (x, _) => sub_(x, 2),
            (x, _) => x.subtract(2), (x, _) => x.subtract_(2), (x, _) => subtract(x, 2), (x, _) => x - 2, (x, _) => x - 2L,
            (x, _) => x - 2f, (x, _) => x - 2.0, (x, _) => x - (Scalar)2),
        new("scalar minus", (x, _) => 2 - x, (x, _) => 2 - x, (x, _) => 2L - x, (x, _) => 2f - x, (x, _) => 2.0 - x,
            (x, _) => (Scalar)2 - x),
        new("mul", (x, y) => x * y, (x, y) => x.mul(y), mul, (x, y) => x.mul_(y), mul_, (x, y) => x * y, (x, y) => x.multiply(y), multiply),
        new("mul scalar", (x, _) => x * 2, (x, _) => x.mul(2), (x, _) => x.mul_(2), (x, _) => mul(x, 2), (x, _) => mul_(x, 2),
            (x, _) => x.multiply(2), (x, _) => multiply(x, 2), (x, _) => x * 2, (x, _) => x * 2L, (x, _) => x * 2f, (x, _) => x * 2.0,
            (x, _) => 2 * x, (x, _) => 2L * x, (x, _) => 2f * x, (x, _) => 2.0 * x, (x, _) => x * (Scalar)2, (x, _) => (Scalar)2 * x),
        new("div", (x, y) => x / y, (x, y) => x.div(y), (x, y) => div(x, y), (x, y) => x.div_(y), (x, y) => div_(x, y), (x, y) => x / y,
            (x, y) => x.divide(y), (x, y) => x.divide_(y), (x, y) => x.true_divide(y), (x, y) => x.true_divide_(y), true_divide),
        new("div scalar", (x, _) => x / 2, (x, _) => x.div(2), (x, _) => div(x, 2), (x, _) => x.div_(2), (x, _) => div_(x, 2),
            (x, _) => x / 2, (x, _) => x / 2L, (x, _) => x / 2f, (x, _) => x / 2.0, (x, _) => x / (Scalar)2, (x, _) => x.divide(2),
            (x, _) => x.divide_(2), (x, _) => x.true_divide(2), (x, _) => x.true_divide_(2)),
        new("floor_divide", (x, y) => Math.Floor(x / y), (x, y) => x.floor_divide(y), floor_divide, (x, y) => x.floor_divide_(y),
            (x, y) => x.div(y, RoundingMode.floor), (x, y) => x.div_(y, RoundingMode.floor)),
        new("div trunc", (x, _) => Math.Truncate(x / 2), (x, _) => x.div(2, RoundingMode.trunc), (x, _) => x.div_(2, RoundingMode.trunc)),
        new("floor_divide scalar", (x, _) => Math.Floor(x / 2), (x, _) => x.floor_divide(2), (x, _) => x.floor_divide_(2)),
        new("remainder", (x, y) => x - y * Math.Floor(x / y), (x, y) => x.remainder(y), remainder, (x, y) => x.remainder_(y), remainder_,
            (x, y) => x % y),
        new("remainder scalar", (x, _) => x - 2 * Math.Floor(x / 2), (x, _) => x.remainder(2), (x, _) => x.remainder_(2),
            (x, _) => remainder(x, 2), (x, _) => remainder_(x, 2), (x, _) => x % 2, (x, _) => x % 2L, (x, _) => x % 2f, (x, _) => x % 2.0,
            (x, _) => x % (Scalar)2),
        new("fmod", (x, y) => x % y, (x, y) => x.fmod(y), fmod, (x, y) => x.fmod_(y), fmod_),
        new("fmod scalar", (x, _) => x % 2, (x, _) => x.fmod(2), (x, _) => x.fmod_(2), (x, _) => fmod(x, 2), (x, _) => fmod_(x, 2)),
        new("pow", Math.Pow, (x, y) => x.pow(y), pow, (x, y) => x.pow_(y)),
        new("pow scalar", (x, _) => x * x, (x, _) => x.pow(2), (x, _) => x.pow_(2), (x, _) => pow(x, 2)),
        new("maximum", Math.Max, (x, y) => x.maximum(y), maximum, (x, y) => x.max(y), max, (x, y) => x.fmax(y), fmax),
        new("minimum", Math.Min, (x, y) => x.minimum(y), minimum, (x, y) => x.min(y), min, (x, y) => x.fmin(y), fmin),
        new("atan2", Math.Atan2, (x, y) => x.atan2(y), atan2),
        new("hypot", (x, y) => Math.Sqrt(x * x + y * y), (x, y) => x.hypot(y), hypot),
        new("logaddexp", (x, y) => Math.Log(Math.Exp(x) + Math.Exp(y)), (x, y) => x.logaddexp(y), logaddexp),
        new("xlogy", (x, y) => x * Math.Log(y * y), (x, y) => x.xlogy(y.square()), (x, y) => xlogy(x, y.square())),
        new("eq", (x, y) => x == y ? 1 : 0, (x, y) => x.eq(y), eq, (x, y) => x.eq_(y), (x, y) => x == y, (x, y) => x.equal(y), equal),
        new("eq scalar", (x, _) => x == 1 ? 1 : 0, (x, _) => x.eq(1), (x, _) => x.eq_(1), (x, _) => x == 1, (x, _) => 1 == x),
        new("ne", (x, y) => x != y ? 1 : 0, (x, y) => x.ne(y), ne, (x, y) => x.ne_(y), (x, y) => x != y, (x, y) => x.not_equal(y),
            not_equal),
        new("ne scalar", (x, _) => x != 1 ? 1 : 0, (x, _) => x.ne(1), (x, _) => x.ne_(1), (x, _) => x != 1, (x, _) => 1 != x),
        new("lt", (x, y) => x < y ? 1 : 0, (x, y) => x.lt(y), lt, (x, y) => x.lt_(y), (x, y) => x < y, (x, y) => x.less(y), less),
        new("lt scalar", (x, _) => x < 1 ? 1 : 0, (x, _) => x.lt(1), (x, _) => x.lt_(1), (x, _) => x < 1, (x, _) => 1 > x),
        new("le", (x, y) => x <= y ? 1 : 0, (x, y) => x.le(y), le, (x, y) => x.le_(y), (x, y) => x <= y, (x, y) => x.less_equal(y),
            less_equal),
        new("le scalar", (x, _) => x <= 1 ? 1 : 0, (x, _) => x.le(1), (x, _) => x.le_(1), (x, _) => x <= 1, (x, _) => 1 >= x),
        new("gt", (x, y) => x > y ? 1 : 0, (x, y) => x.gt(y), gt, (x, y) => x.gt_(y), (x, y) => x > y, (x, y) => x.greater(y), greater),
        new("gt scalar", (x, _) => x > 1 ? 1 : 0, (x, _) => x.gt(1), (x, _) => x.gt_(1), (x, _) => x > 1, (x, _) => 1 < x),
        new("ge", (x, y) => x >= y ? 1 : 0, (x, y) => x.ge(y), ge, (x, y) => x.ge_(y), (x, y) => x >= y, (x, y) => x.greater_equal(y),
            greater_equal),
        new("ge scalar", (x, _) => x >= 1 ? 1 : 0, (x, _) => x.ge(1), (x, _) => x.ge_(1), (x, _) => x >= 1, (x, _) => 1 <= x),
        new("isclose", (x, y) => Math.Abs(x - y) <= 1 ? 1 : 0, (x, y) => x.isclose(y, 0, 1), (x, y) => isclose(x, y, 0, 1)),
        new("logical_and", (x, y) => x != 0 && y != 0 ? 1 : 0, (x, y) => x.logical_and(y), logical_and, (x, y) => x.logical_and_(y),
            (x, y) => x.@bool() & y.@bool()),
        new("logical_or", (x, y) => x != 0 || y != 0 ? 1 : 0, (x, y) => x.logical_or(y), logical_or, (x, y) => x.logical_or_(y),
            (x, y) => x.@bool() | y.@bool()),
        new("logical_xor", (x, y) => x != 0 ^ y != 0 ? 1 : 0, (x, y) => x.logical_xor(y), logical_xor, (x, y) => x.logical_xor_(y),
            (x, y) => x.@bool() ^ y.@bool()),
        new("where", (x, y) => x > 0 ? x : y, (x, y) => x.where(x > 0, y), (x, y) => where(x > 0, x, y)),
        new("lerp", (x, y) => x + 0.25 * (y - x), (x, y) => x.lerp(y, V(0.25)), (x, y) => lerp(x, y, V(0.25)),
            (x, y) => x.lerp_(y, V(0.25))),
        new("addcmul", (x, y) => x + 2 * x * y, (x, y) => x.addcmul(x, y, 2), (x, y) => addcmul(x, x, y, 2),
            (x, y) => x.addcmul_(x.clone(), y, 2)),
        new("addcdiv", (x, y) => x + 2 * x / y, (x, y) => x.addcdiv(x, y, 2), (x, y) => addcdiv(x, x, y, 2),
            (x, y) => x.addcdiv_(x.clone(), y, 2)),
        new("addcdiv with value 1", (x, y) => x + x / y, (x, y) => x.addcdiv(x, y), (x, y) => x.addcdiv_(x.clone(), y)),
        new("copy_", (_, y) => y, (x, y) => x.copy_(y), (x, y) => x.set_(y)),
    ];

    public static readonly TheoryData<Binary> Bitwise =
    [
        new("and", (x, y) => (long)x & (long)y, (x, y) => x.bitwise_and(y), bitwise_and, (x, y) => x.bitwise_and_(y), (x, y) => x & y),
        new("or", (x, y) => (long)x | (long)y, (x, y) => x.bitwise_or(y), bitwise_or, (x, y) => x.bitwise_or_(y), (x, y) => x | y),
        new("xor", (x, y) => (long)x ^ (long)y, (x, y) => x.bitwise_xor(y), bitwise_xor, (x, y) => x.bitwise_xor_(y), (x, y) => x ^ y),
        new("left shift", (x, y) => (long)x << (int)y, (x, y) => x.bitwise_left_shift(y), bitwise_left_shift,
            (x, y) => x.bitwise_left_shift_(y)),
        new("right shift", (x, y) => (long)x >> (int)y, (x, y) => x.bitwise_right_shift(y), bitwise_right_shift,
            (x, y) => x.bitwise_right_shift_(y)),
        new("not", (x, _) => ~(long)x, (x, _) => x.bitwise_not(), (x, _) => bitwise_not(x), (x, _) => x.bitwise_not_(), (x, _) => ~x),
    ];

    [Theory]
    [MemberData(nameof(Unaries))]
    public void Unary_operators_compute_what_System_Math_computes(Unary op)
    {
        foreach (var form in op.Forms) Equal(Array.ConvertAll(op.Inputs, x => op.Expected(x)), form(V(op.Inputs)), 1e-6);
    }

    [Theory]
    [MemberData(nameof(Binaries))]
    public void Binary_operators_compute_what_System_Math_computes(Binary op)
    {
        double[] left = [-2.5, -1, 0, 1, 1, 3.7], right = [2, -1, 3, 1, 2, 0.5];
        foreach (var form in op.Forms) Equal(left.Zip(right, op.Expected).ToArray(), form(V(left), V(right)));
    }

    [Theory]
    [MemberData(nameof(Bitwise))]
    public void Bitwise_operators_compute_what_integers_compute(Binary op)
    {
        long[] left = [0, 5, 12, 255], right = [1, 3, 2, 4];
        foreach (var form in op.Forms) Equal(left.Zip(right, (x, y) => op.Expected(x, y)).ToArray(), form(I(left), I(right)));
    }

    [Fact]
    public void An_in_place_operator_returns_its_target()
    {
        var x = V(1, 2);
        Assert.Same(x, x.add_(1));
        Equal([2, 3], x);
    }

    [Fact]
    public void Operands_are_broadcast_and_promoted()
    {
        var sum = I(1, 2).reshape(2, 1) + tensor(new[] { 0.5f, 1.5f });
        Assert.Equal(ScalarType.Float32, sum.dtype);
        Assert.Equal([2, 2], sum.shape);
        Equal([1.5, 2.5, 2.5, 3.5], sum);
    }

    [Fact]
    public void A_scalar_does_not_change_the_element_type()
    {
        Assert.Equal(ScalarType.Float32, (ones(2) * 2.0).dtype);
        Assert.Equal(ScalarType.Int64, (I(1) + 1).dtype);
        Assert.Equal(ScalarType.Float32, (I(1) / 2).dtype);
    }

    [Fact]
    public void Comparisons_of_whole_tensors_give_one_answer()
    {
        Assert.True(V(1, 2).Equals(V(1, 2)));
        Assert.False(V(1, 2).Equals((object)V(1, 3)));
        Assert.True(V(1, 2).allclose(V(1, 2 + 1e-9)) && allclose(V(1), V(1)));
        Assert.False(V(1, 2).allclose(V(1, 2.1)));
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>The normal distribution's cumulative function, by Simpson's rule.</summary>
    private static double Normal(double x)
    {
        const int steps = 2000;
        double h = x / steps, sum = 1 + Math.Exp(-x * x / 2);
        for (int i = 1; i < steps; i++) sum += (i % 2 == 0 ? 2 : 4) * Math.Exp(-(i * h) * (i * h) / 2);
        return 0.5 + sum * h / 3 / Math.Sqrt(2 * Math.PI);
    }

    public sealed record Unary(string Name, Func<double, double> Expected, double[] Inputs, params Func<Tensor, Tensor>[] Forms)
    {
        public override string ToString() => Name;
    }

    public sealed record Binary(string Name, Func<double, double, double> Expected, params Func<Tensor, Tensor, Tensor>[] Forms)
    {
        public override string ToString() => Name;
    }
}
