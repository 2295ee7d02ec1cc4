"""Ten questions to check oneself: (question, {answer: why or why not}, the right answer)."""

QUESTIONS = [
    ("1. Saliency of a class should use ...", {
        "the probability": "The softmax couples the classes, and where the network is sure its gradient vanishes.",
        "the score before the softmax": "Yes: the probability also changes when another class gains or loses.",
        "the loss": "The same coupling as in the probability, with the sign turned.",
    }, "the score before the softmax"),
    ("2. A map looks sharp and follows the object's edges. What follows?", {
        "The network uses the edges.": "An edge detector's map looks so too, and it knows no network.",
        "The method is good.": "Guided backprop looks so even when the upper layers are shuffled.",
        "Nothing yet.": "Yes. Randomise the network, compare with rivals, then believe.",
    }, "Nothing yet."),
    ("3. Guided backprop differs from the gradient in ...", {
        "the score": "The score is the same.",
        "ReLU's forward rule": "The forward pass is untouched; only what is handed down changes.",
        "ReLU's backward rule": "Yes: it also stops what is negative coming from above.",
    }, "ReLU's backward rule"),
    ("4. A class picture is noise that the network is sure of. The likeliest reason?", {
        "Too few steps.": "More steps make it surer, not more natural.",
        "Nothing in the score asks for a natural picture.": "Yes: regularise, change the parametrisation, or use a robust network.",
        "The network is badly trained.": "Well-trained networks do this too; training against attacks helps.",
    }, "Nothing in the score asks for a natural picture."),
    ("5. A network has a small l2 distance to its nearest adversarial example. That says ...", {
        "how near its decision is, in pixels": "Yes: a small lead over the next class, or a steep network.",
        "that a person would be fooled too": "A person looks at something else; most twins look alike to us.",
        "that it errs often on photographs": "A network can be accurate and easy to fool.",
    }, "how near its decision is, in pixels"),
    ("6. From fc7 a picture can be inverted only roughly, even when the codes agree closely. Why?", {
        "Many pictures have nearly the same code.": "Yes: what may vary without changing the code is what the layer forgot.",
        "The descent is stuck.": "Then the distance of the codes would be large.",
        "The picture is not natural enough.": "A prior can choose among the pictures of one code; it cannot bring back what is not in it.",
    }, "Many pictures have nearly the same code."),
    ("7. The places of a layer are shuffled, in all channels alike. Its Gram matrix changes ...", {
        "a lot": "That happens, off the diagonal, when each channel is shuffled by itself.",
        "a little": "A mean over places does not know their order.",
        "not at all": "Yes: it averages over places.",
    }, "not at all"),
    ("8. DeepDream climbs ...", {
        "the score of a class": "That is the class picture.",
        "half the squared norm of a layer": "Yes: its gradient at the layer is the layer itself.",
        "the sum of a layer": "Then every unit gets the same push; here the strong ones get more.",
    }, "half the squared norm of a layer"),
    ("9. Two heads have the same accuracy on the test set. Then ...", {
        "they use the same things": "A and B did not.",
        "they may use different things": "Yes: a test set with the flaw of the training set cannot tell.",
        "the smaller one is better": "Size says nothing about what is read.",
    }, "they may use different things"),
    ("10. Occlusion says that a head depends on the corner. The proof is ...", {
        "to put there what might have been there, and count the answers": "Yes: no tag, or another tag, on many pictures.",
        "a second method that agrees": "Better than one, but both may be fooled in the same way.",
        "a sharper map": "Sharpness proves nothing.",
    }, "to put there what might have been there, and count the answers"),
]
