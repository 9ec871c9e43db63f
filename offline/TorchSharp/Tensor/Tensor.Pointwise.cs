// Element-wise operators.
namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor abs() => Call("abs", this);
        public Tensor abs_() => CallInPlace("abs_", this);
        public Tensor neg() => Call("neg", this);
        public Tensor neg_() => CallInPlace("neg_", this);
        public Tensor sign() => Call("sign", this);
        public Tensor sign_() => CallInPlace("sign_", this);
        public Tensor sgn() => Call("sgn", this);
        public Tensor sgn_() => CallInPlace("sgn_", this);
        public Tensor exp() => Call("exp", this);
        public Tensor exp_() => CallInPlace("exp_", this);
        public Tensor expm1() => Call("expm1", this);
        public Tensor expm1_() => CallInPlace("expm1_", this);
        public Tensor log() => Call("log", this);
        public Tensor log_() => CallInPlace("log_", this);
        public Tensor log1p() => Call("log1p", this);
        public Tensor log1p_() => CallInPlace("log1p_", this);
        public Tensor log2() => Call("log2", this);
        public Tensor log2_() => CallInPlace("log2_", this);
        public Tensor log10() => Call("log10", this);
        public Tensor log10_() => CallInPlace("log10_", this);
        public Tensor sqrt() => Call("sqrt", this);
        public Tensor sqrt_() => CallInPlace("sqrt_", this);
        public Tensor rsqrt() => Call("rsqrt", this);
        public Tensor rsqrt_() => CallInPlace("rsqrt_", this);
        public Tensor reciprocal() => Call("reciprocal", this);
        public Tensor reciprocal_() => CallInPlace("reciprocal_", this);
        public Tensor sin() => Call("sin", this);
        public Tensor sin_() => CallInPlace("sin_", this);
        public Tensor cos() => Call("cos", this);
        public Tensor cos_() => CallInPlace("cos_", this);
        public Tensor tan() => Call("tan", this);
        public Tensor tan_() => CallInPlace("tan_", this);
        public Tensor asin() => Call("asin", this);
        public Tensor asin_() => CallInPlace("asin_", this);
        public Tensor acos() => Call("acos", this);
        public Tensor acos_() => CallInPlace("acos_", this);
        public Tensor atan() => Call("atan", this);
        public Tensor atan_() => CallInPlace("atan_", this);
        public Tensor sinh() => Call("sinh", this);
        public Tensor sinh_() => CallInPlace("sinh_", this);
        public Tensor cosh() => Call("cosh", this);
        public Tensor cosh_() => CallInPlace("cosh_", this);
        public Tensor tanh() => Call("tanh", this);
        public Tensor tanh_() => CallInPlace("tanh_", this);
        public Tensor sigmoid() => Call("sigmoid", this);
        public Tensor sigmoid_() => CallInPlace("sigmoid_", this);
        public Tensor relu() => Call("relu", this);
        public Tensor relu_() => CallInPlace("relu_", this);
        public Tensor relu6() => Call("relu6", this);
        public Tensor relu6_() => CallInPlace("relu6_", this);
        public Tensor silu() => Call("silu", this);
        public Tensor silu_() => CallInPlace("silu_", this);
        public Tensor selu() => Call("selu", this);
        public Tensor selu_() => CallInPlace("selu_", this);
        public Tensor floor() => Call("floor", this);
        public Tensor floor_() => CallInPlace("floor_", this);
        public Tensor ceil() => Call("ceil", this);
        public Tensor ceil_() => CallInPlace("ceil_", this);
        public Tensor trunc() => Call("trunc", this);
        public Tensor trunc_() => CallInPlace("trunc_", this);
        public Tensor frac() => Call("frac", this);
        public Tensor frac_() => CallInPlace("frac_", this);
        public Tensor erf() => Call("erf", this);
        public Tensor erf_() => CallInPlace("erf_", this);
        public Tensor erfc() => Call("erfc", this);
        public Tensor erfc_() => CallInPlace("erfc_", this);
        public Tensor exp2() => Call("exp2", this);
        public Tensor square() => Call("square", this);
        public Tensor positive() => Call("positive", this);
        public Tensor gelu() => Call("gelu", this);
        public Tensor log_sigmoid() => Call("log_sigmoid", this);
        public Tensor softplus() => Call("softplus", this);
        public Tensor angle() => Call("angle", this);
        public Tensor isnan() => Call("isnan", this);
        public Tensor isinf() => Call("isinf", this);
        public Tensor isfinite() => Call("isfinite", this);
        public Tensor isposinf() => Call("isposinf", this);
        public Tensor isneginf() => Call("isneginf", this);
        public Tensor logical_not() => Call("logical_not", this);
        public Tensor logical_not_() => CallInPlace("logical_not_", this);
        public Tensor bitwise_not() => Call("bitwise_not", this);
        public Tensor bitwise_not_() => CallInPlace("bitwise_not_", this);
        public Tensor signbit() => Call("signbit", this);
        public Tensor round(long decimals = 0) => Call("round.decimals", this, decimals);
        public Tensor round_(long decimals = 0) => CallInPlace("round_.decimals", this, decimals);
        public Tensor absolute() => abs();
        public Tensor absolute_() => abs_();
        public Tensor negative() => neg();

        public Tensor add(Tensor target) => Call("add.Tensor", this, target);
        public Tensor add(Tensor target, Scalar alpha) => Call("add.Tensor", this, target, alpha);
        public Tensor add(Scalar scalar) => Call("add.Scalar", this, scalar);
        public Tensor add(Scalar scalar, Scalar alpha) => Call("add.Scalar", this, scalar, alpha);
        public Tensor add_(Tensor target) => CallInPlace("add_.Tensor", this, target);
        public Tensor add_(Tensor target, Scalar alpha) => CallInPlace("add_.Tensor", this, target, alpha);
        public Tensor add_(Scalar scalar) => CallInPlace("add_.Scalar", this, scalar);
        public Tensor add_(Scalar scalar, Scalar alpha) => CallInPlace("add_.Scalar", this, scalar, alpha);
        public Tensor sub(Tensor target) => Call("sub.Tensor", this, target);
        public Tensor sub(Scalar target) => Call("sub.Scalar", this, target);
        public Tensor sub_(Tensor target) => CallInPlace("sub_.Tensor", this, target);
        public Tensor sub_(Scalar target) => CallInPlace("sub_.Scalar", this, target);
        public Tensor mul(Tensor target) => Call("mul.Tensor", this, target);
        public Tensor mul(Scalar target) => Call("mul.Scalar", this, target);
        public Tensor mul_(Tensor target) => CallInPlace("mul_.Tensor", this, target);
        public Tensor mul_(Scalar target) => CallInPlace("mul_.Scalar", this, target);
        public Tensor subtract(Tensor target) => sub(target);
        public Tensor subtract(Scalar target) => sub(target);
        public Tensor subtract_(Tensor target) => sub_(target);
        public Tensor subtract_(Scalar target) => sub_(target);
        public Tensor multiply(Tensor target) => mul(target);
        public Tensor multiply(Scalar target) => mul(target);

        public Tensor div(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            Call("div.Tensor_mode", this, target, Rounding(rounding_mode));

        public Tensor div(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            Call("div.Scalar_mode", this, target, Rounding(rounding_mode));

        public Tensor div_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            CallInPlace("div_.Tensor_mode", this, target, Rounding(rounding_mode));

        public Tensor div_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            CallInPlace("div_.Scalar_mode", this, target, Rounding(rounding_mode));

        public Tensor divide(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => div(target, rounding_mode);
        public Tensor divide(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => div(target, rounding_mode);
        public Tensor divide_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => div_(target, rounding_mode);
        public Tensor divide_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => div_(target, rounding_mode);
        public Tensor true_divide(Tensor other) => div(other);
        public Tensor true_divide_(Tensor other) => div_(other);
        public Tensor true_divide(Scalar other) => div(other);
        public Tensor true_divide_(Scalar other) => div_(other);
        public Tensor floor_divide(Tensor other) => Call("floor_divide", this, other);
        public Tensor floor_divide(Scalar other) => Call("floor_divide.Scalar", this, other);
        public Tensor floor_divide_(Tensor other) => CallInPlace("floor_divide_.Tensor", this, other);
        public Tensor floor_divide_(Scalar other) => CallInPlace("floor_divide_.Scalar", this, other);
        public Tensor remainder(Tensor target) => Call("remainder.Tensor", this, target);
        public Tensor remainder(Scalar scalar) => Call("remainder.Scalar", this, scalar);
        public Tensor remainder_(Tensor target) => CallInPlace("remainder_.Tensor", this, target);
        public Tensor remainder_(Scalar scalar) => CallInPlace("remainder_.Scalar", this, scalar);
        public Tensor fmod(Tensor target) => Call("fmod.Tensor", this, target);
        public Tensor fmod(Scalar scalar) => Call("fmod.Scalar", this, scalar);
        public Tensor fmod_(Tensor target) => CallInPlace("fmod_.Tensor", this, target);
        public Tensor fmod_(Scalar scalar) => CallInPlace("fmod_.Scalar", this, scalar);

        public Tensor pow(Tensor exponent) => Call("pow.Tensor_Tensor", this, exponent);
        public Tensor pow(Scalar exponent) => Call("pow.Tensor_Scalar", this, exponent);
        public Tensor pow_(Tensor exponent) => CallInPlace("pow_.Tensor", this, exponent);
        public Tensor pow_(Scalar exponent) => CallInPlace("pow_.Scalar", this, exponent);
        public Tensor maximum(Tensor other) => Call("maximum", this, other);
        public Tensor minimum(Tensor other) => Call("minimum", this, other);
        public Tensor fmax(Tensor other) => Call("fmax", this, other);
        public Tensor fmin(Tensor other) => Call("fmin", this, other);
        public Tensor atan2(Tensor other) => Call("atan2", this, other);
        public Tensor hypot(Tensor other) => Call("hypot", this, other);
        public Tensor logaddexp(Tensor other) => Call("logaddexp", this, other);
        public Tensor max(Tensor other) => maximum(other);
        public Tensor min(Tensor other) => minimum(other);

        public Tensor eq(Tensor target) => Call("eq.Tensor", this, target);
        public Tensor eq(Scalar target) => Call("eq.Scalar", this, target);
        public Tensor eq_(Tensor target) => CallInPlace("eq_.Tensor", this, target);
        public Tensor eq_(Scalar target) => CallInPlace("eq_.Scalar", this, target);
        public Tensor ne(Tensor target) => Call("ne.Tensor", this, target);
        public Tensor ne(Scalar target) => Call("ne.Scalar", this, target);
        public Tensor ne_(Tensor target) => CallInPlace("ne_.Tensor", this, target);
        public Tensor ne_(Scalar target) => CallInPlace("ne_.Scalar", this, target);
        public Tensor lt(Tensor target) => Call("lt.Tensor", this, target);
        public Tensor lt(Scalar target) => Call("lt.Scalar", this, target);
        public Tensor lt_(Tensor target) => CallInPlace("lt_.Tensor", this, target);
        public Tensor lt_(Scalar target) => CallInPlace("lt_.Scalar", this, target);
        public Tensor le(Tensor target) => Call("le.Tensor", this, target);
        public Tensor le(Scalar target) => Call("le.Scalar", this, target);
        public Tensor le_(Tensor target) => CallInPlace("le_.Tensor", this, target);
        public Tensor le_(Scalar target) => CallInPlace("le_.Scalar", this, target);
        public Tensor gt(Tensor target) => Call("gt.Tensor", this, target);
        public Tensor gt(Scalar target) => Call("gt.Scalar", this, target);
        public Tensor gt_(Tensor target) => CallInPlace("gt_.Tensor", this, target);
        public Tensor gt_(Scalar target) => CallInPlace("gt_.Scalar", this, target);
        public Tensor ge(Tensor target) => Call("ge.Tensor", this, target);
        public Tensor ge(Scalar target) => Call("ge.Scalar", this, target);
        public Tensor ge_(Tensor target) => CallInPlace("ge_.Tensor", this, target);
        public Tensor ge_(Scalar target) => CallInPlace("ge_.Scalar", this, target);
        public Tensor equal(Tensor target) => eq(target);
        public Tensor not_equal(Tensor target) => ne(target);
        public Tensor less(Tensor target) => lt(target);
        public Tensor less_equal(Tensor target) => le(target);
        public Tensor greater(Tensor target) => gt(target);
        public Tensor greater_equal(Tensor target) => ge(target);

        public Tensor logical_and(Tensor other) => Call("logical_and", this, other);
        public Tensor logical_and_(Tensor other) => CallInPlace("logical_and_", this, other);
        public Tensor logical_or(Tensor other) => Call("logical_or", this, other);
        public Tensor logical_or_(Tensor other) => CallInPlace("logical_or_", this, other);
        public Tensor logical_xor(Tensor other) => Call("logical_xor", this, other);
        public Tensor logical_xor_(Tensor other) => CallInPlace("logical_xor_", this, other);
        public Tensor bitwise_and(Tensor other) => Call("bitwise_and.Tensor", this, other);
        public Tensor bitwise_and_(Tensor other) => CallInPlace("bitwise_and_.Tensor", this, other);
        public Tensor bitwise_or(Tensor other) => Call("bitwise_or.Tensor", this, other);
        public Tensor bitwise_or_(Tensor other) => CallInPlace("bitwise_or_.Tensor", this, other);
        public Tensor bitwise_xor(Tensor other) => Call("bitwise_xor.Tensor", this, other);
        public Tensor bitwise_xor_(Tensor other) => CallInPlace("bitwise_xor_.Tensor", this, other);
        public Tensor bitwise_left_shift(Tensor other) => Call("bitwise_left_shift.Tensor", this, other);
        public Tensor bitwise_left_shift_(Tensor other) => CallInPlace("bitwise_left_shift_.Tensor", this, other);
        public Tensor bitwise_right_shift(Tensor other) => Call("bitwise_right_shift.Tensor", this, other);
        public Tensor bitwise_right_shift_(Tensor other) => CallInPlace("bitwise_right_shift_.Tensor", this, other);

        public Tensor clamp(Scalar? min = null, Scalar? max = null) => Call("clamp", this, min, max);
        public Tensor clamp(Tensor? min = null, Tensor? max = null) => Call("clamp.Tensor", this, min, max);
        public Tensor clamp_min(Scalar min) => Call("clamp_min", this, min);
        public Tensor clamp_max(Scalar max) => Call("clamp_max", this, max);
        public Tensor clamp_(Scalar? min = null, Scalar? max = null) => CallInPlace("clamp_", this, min, max);
        public Tensor clamp_(Tensor? min = null, Tensor? max = null) => CallInPlace("clamp_.Tensor", this, min, max);
        public Tensor clamp_min_(Scalar min) => CallInPlace("clamp_min_", this, min);
        public Tensor clamp_max_(Scalar max) => CallInPlace("clamp_max_", this, max);
        public Tensor clip(Scalar? min = null, Scalar? max = null) => clamp(min, max);
        public Tensor nan_to_num(double nan = 0, double? posinf = null, double? neginf = null) =>
            Call("nan_to_num", this, nan, posinf, neginf);
        public Tensor where(Tensor condition, Tensor y) => Call("where.self", condition, this, y);
        public Tensor logit(double? eps = null) => Call("logit", this, eps);
        public Tensor xlogy(Tensor y) => Call("xlogy.Tensor", this, y);
        public Tensor leaky_relu(Scalar negative_slope) => Call("leaky_relu", this, negative_slope);

        public Tensor addcmul(Tensor tensor1, Tensor tensor2, Scalar value) => Call("addcmul", this, tensor1, tensor2, value);
        public Tensor addcmul_(Tensor tensor1, Tensor tensor2, Scalar value) => CallInPlace("addcmul_", this, tensor1, tensor2, value);
        public Tensor addcdiv(Tensor tensor1, Tensor tensor2, Scalar value) => Call("addcdiv", this, tensor1, tensor2, value);
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2, Scalar value) => CallInPlace("addcdiv_", this, tensor1, tensor2, value);
        public Tensor addcdiv(Tensor tensor1, Tensor tensor2) => Call("addcdiv", this, tensor1, tensor2);
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2) => CallInPlace("addcdiv_", this, tensor1, tensor2);
        public Tensor lerp(Tensor end, Tensor weight) => Call("lerp.Tensor", this, end, weight);
        public Tensor lerp_(Tensor end, Tensor weight) => CallInPlace("lerp_.Tensor", this, end, weight);
        public Tensor fill_(Scalar value) => CallInPlace("fill_.Scalar", this, value);
        public Tensor zero_() => CallInPlace("zero_", this);

        public bool allclose(Tensor target, double rtol = 1e-05, double atol = 1e-08, bool equal_nan = false) =>
            CallBool("allclose", this, target, rtol, atol, equal_nan);

        public Tensor isclose(Tensor other, double rtol = 1e-05, double atol = 1e-08, bool nanEqual = false) =>
            Call("isclose", this, other, rtol, atol, nanEqual);

        private static string? Rounding(RoundingMode mode) => mode switch
        {
            RoundingMode.trunc => "trunc",
            RoundingMode.floor => "floor",
            _ => null,
        };
    }
}
