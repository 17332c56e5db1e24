package rest

// Encode lets tests compare the encoder with package json.
var Encode = encode
