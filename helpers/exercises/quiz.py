"""Twelve questions: (question, {answer: why it is right or wrong}, the right answer).

The number in parentheses is the section of the course. The text is shown as HTML.
"""

QUESTIONS = [
    # ---- 01_activations ----
    ("1. (1.8) What does t-SNE minimize when it moves the points of its map?", {
        "The fraction of the variance that is lost":
            "PCA does that, in closed form: a singular value decomposition finds the best plane.",
        "A divergence between two distributions over neighbors":
            "Yes. One gives the probability that two points are neighbors in the layer, the other "
            "the probability that they are neighbors on the map.",
        "The differences between distances in the layer and on the map":
            "Then the size of a cluster would show how far apart its points are. t-SNE only keeps "
            "neighbors close, so the size of a cluster means nothing.",
        "The distance of each image from the others of its class":
            "t-SNE does not know the classes. If the images of a class form a cluster, it is "
            "because they were neighbors in the layer.",
    }, "A divergence between two distributions over neighbors"),
    ("2. (1.11) No window of an occlusion map changes the score, although the network classifies "
     "the cat correctly. How do you interpret this?", {
        "No single part is necessary, since the rest is enough.":
            "Yes. Occlusion only finds parts without a substitute. Each part of this cat may be "
            "enough for the prediction, and this map cannot tell.",
        "The network does not look at the cat, but at something next to it.":
            "A dark map does not mean indifference. Where two parts are each enough, occluding one "
            "changes nothing, although the network uses both.",
        "The fill value was wrong, and another one would show the right position.":
            "A drop under a single fill value may be an effect of that value. Compare several fill "
            "values before you believe one of them.",
        "The gradient must be zero there as well, so saliency would be dark.":
            "Occluding a part and changing it slightly are different questions. The two maps often "
            "highlight different parts of an object.",
    }, "No single part is necessary, since the rest is enough."),
    ("3. (1.12) Of which quantity should a saliency map for a class compute the gradient?", {
        "The logit of the class, the score before the softmax":
            "Yes. The gradient of the probability also contains those of all other classes, and it "
            "vanishes where the network is sure.",
        "The probability of the class, since it has a fixed range":
            "The probability also increases when the logit of another class drops, and near 1 it "
            "hardly changes, so a confident prediction gets a gradient near zero.",
        "The cross-entropy of the class, since the network was trained on it":
            "A good training loss need not be a good explanation. The cross-entropy is minus the "
            "logarithm of the probability, so it mixes the classes as well.",
    }, "The logit of the class, the score before the softmax"),
    # ---- 02_gradients ----
    ("4. (2.2) The input of a ReLU is −2, and the gradient from above is 3. What does each rule "
     "pass on?", {
        "Plain 3, deconvnet 3, guided 0":
            "The derivative of the ReLU is missing. It is zero where the unit is inactive.",
        "Plain 0, deconvnet 0, guided 3":
            "Guided backprop never passes on what the plain rule stops.",
        "Plain 0, deconvnet 3, guided 0":
            "Yes. Plain requires an active unit, deconvnet a positive gradient, guided both.",
        "Plain 0, deconvnet 0, guided 0":
            "The deconvnet does not require an active unit. It passes on every positive gradient.",
    }, "Plain 0, deconvnet 3, guided 0"),
    ("5. (2.2) Guided backprop draws the dahlia sharply. What does this show about what the "
     "network has learned?", {
        "It recognizes the flower by the petals that the map shows.":
            "A sharp map is not an explanation. With the weights of the last layers permuted, the "
            "network cannot classify anything, and its guided maps hardly change.",
        "It only detects edges, since guided backprop is an edge detector.":
            "The map changes completely when the weights of the lower layers are permuted.",
        "The plain gradient, which is noisier, would show less about it.":
            "Sharp does not mean faithful. The plain gradient changes when the last layers are "
            "permuted, and only such a map can show what they have learned.",
        "Nothing yet, until it is compared with permuted weights.":
            "Yes. The guided map stays nearly the same when the upper layers are permuted, so it "
            "cannot show what they have learned.",
    }, "Nothing yet, until it is compared with permuted weights."),
    ("6. (2.3) Gradient ascent on a class score, without a regularizer, ends in high-frequency "
     "noise with a very high score. What is the most likely reason?", {
        "Nothing in the score rewards a natural image.":
            "Yes. That must come from elsewhere: from a regularizer, from the Fourier "
            "parametrization, or from adversarial training.",
        "The number of steps was too small for a clear image.":
            "More steps would increase the score, and add more noise.",
        "The network is badly trained and does not know its classes.":
            "This happens to well-trained networks, too. With the Fourier parametrization and "
            "random crops, the same network gives recognizable images.",
        "A clear image has a low score, and this one got too high.":
            "The score does not measure clarity. Images with a low score can be unclear as well.",
    }, "Nothing in the score rewards a natural image."),
    # ---- 03_fun ----
    ("7. (3.1) DeepDream sets the gradient at a layer to the activations of that layer, and "
     "backpropagates. Of which function of the layer is this the gradient?", {
        "The sum of all its activations":
            "The gradient of a sum is 1 for every unit. Here strong units get a larger gradient.",
        "Its norm, without a square":
            "The gradient of the norm is the activations divided by their norm.",
        "The score of the most likely class":
            "That is class visualization. DeepDream chooses no class, and amplifies what is there.",
        "Half of its squared norm":
            "Yes. Its derivative with respect to a unit is the activation of that unit, so active "
            "units are amplified in proportion, and inactive ones are not.",
    }, "Half of its squared norm"),
    ("8. (3.3) The positions of a layer are permuted, in the same way in all channels. How much "
     "does its Gram matrix change?", {
        "Not at all, since it averages over all positions":
            "Yes. A mean does not depend on the order. The Gram matrix keeps which channels are "
            "active together, and loses where.",
        "A lot, since channels are no longer active together":
            "That happens when each channel is permuted by itself. Here, they still coincide.",
        "A little, since neighboring positions are separated":
            "Each position contributes on its own, whatever is next to it.",
        "Completely, since the image is no longer recognizable":
            "The Gram matrix contains no positions, which is why it can describe a texture.",
    }, "Not at all, since it averages over all positions"),
    ("9. (3.6) On an image with low contrast, an image transformation network with instance norm "
     "stylizes as before, and one with batch norm hardly does. Why?", {
        "The network with instance norm was trained on low contrast as well.":
            "Both were trained on the same images. They differ only in the norm.",
        "Its scales and shifts are computed from each image that it gets.":
            "The scales and shifts are fixed. An image only gives a mean and a standard deviation.",
        "It divides by the standard deviation of this image, so contrast cancels.":
            "Yes. If a channel is multiplied by a positive number and shifted, so are its mean and "
            "standard deviation, and the result stays the same.",
        "Its style loss does not compare the result with the photograph.":
            "That is true of both networks, so it cannot explain the difference.",
    }, "It divides by the standard deviation of this image, so contrast cancels."),
    # ---- 04_summary ----
    ("10. (4.2) The confidence intervals of the mean scores of two methods overlap; both were "
     "measured on the same scenes. When is the first method significantly better?", {
        "When its mean over these scenes is higher":
            "One of two means is nearly always higher, if only by chance.",
        "Never, because overlapping intervals mean that they are equal":
            "Each interval also contains the differences between the scenes. Both methods share "
            "these, and they cancel in a paired comparison.",
        "When its score is higher for 95% of the scenes":
            "This confuses the standard deviation of single scenes with the uncertainty of their "
            "mean. A better method may be worse on many scenes.",
        "When the interval of the differences per scene lies above 0":
            "Yes. This is a paired comparison. With many comparisons, some intervals lie above 0 "
            "by chance; Holm's correction accounts for that.",
    }, "When the interval of the differences per scene lies above 0"),
    ("11. (4.2) The maximum of an occlusion map is shared by all pixels of a window, half of which "
     "lies on the object. What should its score in the pointing game be?", {
        "1, since some of its largest values are on the object":
            "Then a constant map would win every game, although it does not point at anything.",
        "0, since some of its largest values are off the object":
            "This treats a map that is half right like one that misses.",
        "One half, the fraction of its largest values on the object":
            "Yes. A constant map then gets the fraction of the image that the object covers, which "
            "is chance level.",
        "1 or 0, depending on the first pixel with the largest value":
            "Then the order of the pixels in memory decides: the first is always in the top row of "
            "the window.",
    }, "One half, the fraction of its largest values on the object"),
    ("12. (4.3) The occlusion map of a linear probe is bright in the corner with the tag. What "
     "proves that the probe uses the tag?", {
        "A second method with maps that are bright in the same corner":
            "This is better than one map, but two methods can be wrong in the same way. And no map "
            "shows a tint of the whole image, which has no position.",
        "A counterfactual: paste other tags, and measure the accuracy":
            "Yes. Nothing else changes. With the tag of another shape, this probe predicts that "
            "shape, and an honest one does not.",
        "The mean of the maps over many of the images":
            "A mean does not depend on a single image, so it is a better hint. But it is still a "
            "map, which suggests and does not prove.",
        "A map with more pixels that shows the tag sharply":
            "Sharp is not proven. Guided maps stay sharp when the weights of upper layers are "
            "permuted.",
    }, "A counterfactual: paste other tags, and measure the accuracy"),
]
