"""Products of the Hessian, or of the Gauss-Newton matrix, of f with vectors."""

from sharpmin.products.curvature import Curvature, Matrix, Method, curvature_of, hessian_product

__all__ = ["Curvature", "Matrix", "Method", "curvature_of", "hessian_product"]
